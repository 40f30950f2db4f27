#include "shim.h"

#include <apr_hash.h>
#include <apr_optional.h>
#include <apr_strings.h>
#include <apu_version.h>
#include <http_core.h>
#include <http_log.h>
#include <string.h>

/* mod_ssl.h is not needed for this: the function is looked up by its name at run time. */
APR_DECLARE_OPTIONAL_FN(int, ssl_is_https, (conn_rec *));
APR_DECLARE_OPTIONAL_FN(char *, ssl_var_lookup, (apr_pool_t *, server_rec *, conn_rec *, request_rec *, char *));

static const core_dir_config *place(const request_rec *r)
{
    return ap_get_core_module_config(r->per_dir_config);
}

int wsgi_shim_allows_mmap(const request_rec *r)
{
    return place(r)->enable_mmap != ENABLE_MMAP_OFF;
}

int wsgi_shim_passes_credentials(const request_rec *r)
{
    return place(r)->cgi_pass_auth == AP_CGI_PASS_AUTH_ON;
}

int wsgi_shim_request_uri_is_current(const request_rec *r)
{
    apr_hash_t *rules = place(r)->cgi_var_rules;
    const char *rule = rules ? apr_hash_get(rules, "REQUEST_URI", APR_HASH_KEY_STRING) : NULL;

    return rule && strcmp(rule, "current-uri") == 0;
}

int wsgi_shim_global_only(void)
{
    return GLOBAL_ONLY;
}

int wsgi_shim_has_eos(apr_bucket_brigade *brigade)
{
    return !APR_BRIGADE_EMPTY(brigade) && APR_BUCKET_IS_EOS(APR_BRIGADE_LAST(brigade));
}

void wsgi_shim_no_mmap(apr_bucket_brigade *brigade)
{
    apr_bucket *bucket;

    for (bucket = APR_BRIGADE_FIRST(brigade); bucket != APR_BRIGADE_SENTINEL(brigade); bucket = APR_BUCKET_NEXT(bucket)) {
        if (APR_BUCKET_IS_FILE(bucket)) {
            apr_bucket_file_enable_mmap(bucket, 0);
#if APU_MAJOR_VERSION > 1 || (APU_MAJOR_VERSION == 1 && APU_MINOR_VERSION >= 6)
            apr_bucket_file_set_buf_size(bucket, 64 * 1024);
#endif
        }
    }
}

void wsgi_shim_insert_tail(apr_bucket_brigade *brigade, apr_bucket *bucket)
{
    APR_BRIGADE_INSERT_TAIL(brigade, bucket);
}

void *wsgi_shim_get_config(const ap_conf_vector_t *vector, const module *record)
{
    return ap_get_module_config(vector, record);
}

void wsgi_shim_log_request(const char *file, int line, int index, int level, request_rec *r, const char *text)
{
    ap_log_rerror_(file, line, index, level | APLOG_NOERRNO, 0, r, "%s", text);
}

void wsgi_shim_log_server(const char *file, int line, int index, int level, server_rec *s, const char *text)
{
    ap_log_error_(file, line, index, level | APLOG_NOERRNO, 0, s, "%s", text);
}

int wsgi_shim_request_level(request_rec *r, int index)
{
    return ap_get_request_module_loglevel(r, index);
}

int wsgi_shim_server_logs(server_rec *s, int index)
{
    return ap_get_server_module_loglevel(s, index);
}

int wsgi_shim_is_https(conn_rec *c)
{
    APR_OPTIONAL_FN_TYPE(ssl_is_https) *is_https = APR_RETRIEVE_OPTIONAL_FN(ssl_is_https);
    return is_https != NULL && is_https(c);
}

const char *wsgi_shim_ssl_variable(request_rec *r, const char *name)
{
    APR_OPTIONAL_FN_TYPE(ssl_var_lookup) *lookup = APR_RETRIEVE_OPTIONAL_FN(ssl_var_lookup);

    if (lookup == NULL) {
        return NULL;
    }
    /* The function's type lacks const; it only reads the name. */
    return lookup(r->pool, r->server, r->connection, r, apr_pstrdup(r->pool, name));
}
