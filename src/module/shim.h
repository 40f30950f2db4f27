/* What bindgen cannot express of httpd and APR: macros over rings, and calls with variable arguments. */
#ifndef MOD_WSGI_SHIM_H
#define MOD_WSGI_SHIM_H

#if defined(_WIN32) && defined(__GNUC__)
/* httpd for Windows is made with Microsoft's compiler, for which APR has a pid_t of its own. It is in httpd's structures. */
#define _PID_T_
typedef int pid_t;
#endif

#include <httpd.h>
#include <apr_buckets.h>
#include <http_config.h>

/* Where a directive is allowed that belongs to the whole server. */
int wsgi_shim_global_only(void);

/* Does the brigade hold an end-of-stream bucket? It is the last one where it does. */
int wsgi_shim_has_eos(apr_bucket_brigade *brigade);

/* Have the file buckets of a brigade read, not mapped. */
void wsgi_shim_no_mmap(apr_bucket_brigade *brigade);

void wsgi_shim_insert_tail(apr_bucket_brigade *brigade, apr_bucket *bucket);

/* The per-module configuration at this module's index. */
void *wsgi_shim_get_config(const ap_conf_vector_t *vector, const module *record);

/* Log one line; the text is never a format. */
void wsgi_shim_log_request(const char *file, int line, int index, int level, request_rec *r, const char *text);
void wsgi_shim_log_server(const char *file, int line, int index, int level, server_rec *s, const char *text);

/* The least important level that is written. */
int wsgi_shim_request_level(request_rec *r, int index);
int wsgi_shim_server_logs(server_rec *s, int index);

/* Is the connection encrypted by mod_ssl, if that is loaded? */
int wsgi_shim_is_https(conn_rec *c);

/* Does EnableMMAP leave it to httpd to map files? */
int wsgi_shim_allows_mmap(const request_rec *r);

/* Does CGIPassAuth give the credentials of this request to applications? */
int wsgi_shim_passes_credentials(const request_rec *r);

/* Does CGIVar say that REQUEST_URI is the URL after internal redirects? */
int wsgi_shim_request_uri_is_current(const request_rec *r);

/* A variable of mod_ssl's, or null. */
const char *wsgi_shim_ssl_variable(request_rec *r, const char *name);

#endif
