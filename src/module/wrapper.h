/* The headers of httpd and APR that bindgen turns into src/module/apache/ffi.rs's bindings. */
#include "shim.h"

#include <ap_mmn.h>
#include <ap_mpm.h>
#include <ap_regex.h>
#include <apr_buckets.h>
#include <apr_optional.h>
#include <apr_strings.h>
#include <apr_tables.h>
#include <apr_thread_proc.h>
#include <http_config.h>
#include <http_connection.h>
#include <http_core.h>
#include <http_log.h>
#include <http_main.h>
#include <http_protocol.h>
#include <http_request.h>
#include <mod_auth.h>
#include <mpm_common.h>
#include <scoreboard.h>
#ifndef _WIN32
#include <unixd.h>
#endif
#include <util_filter.h>
#include <util_script.h>
