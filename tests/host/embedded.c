/* Loads a host as mod_wsgi.so does in an Apache child, and runs requests on threads of its own.
 * Usage: embedded LIBPYTHON HOST LAUNCH-FILE REQUEST-FILE THREADS REPEAT. Prints what the host says. */
#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    void *context;
    intptr_t (*read)(void *, uint8_t *, size_t);
    const uint8_t *(*read_error)(void *, size_t *);
    int32_t (*head)(void *, const uint8_t *, size_t);
    int32_t (*data)(void *, const uint8_t *, size_t, int32_t);
    int32_t (*file)(void *, int32_t, uint64_t, uint64_t);
    void (*log)(void *, uint8_t, const uint8_t *, size_t);
    void (*answer)(void *, const uint8_t *, size_t);
    int32_t (*is_https)(void *);
    const uint8_t *(*ssl_variable)(void *, const uint8_t *, size_t, size_t *);
    void *request_rec;
} Exchange;

typedef struct {
    uint32_t abi;
    const char *version;
    int32_t (*start)(const uint8_t *, size_t, void (*)(uint8_t, const uint8_t *, size_t));
    int32_t (*handle)(const Exchange *, const uint8_t *, size_t);
    int32_t (*call)(const Exchange *, const uint8_t *, size_t);
    void (*stop)(void);
} Host;

static const Host *host;
static uint8_t *request;
static size_t request_length;
static int repeat;
static pthread_mutex_t output = PTHREAD_MUTEX_INITIALIZER;

typedef struct { int body_left; char said[1 << 16]; size_t length; } Context;

static void say(Context *context, const char *what, const uint8_t *text, size_t length) {
    context->length += (size_t)snprintf(context->said + context->length, sizeof context->said - context->length, "%s: %.*s\n", what, (int)length, text);
}
static intptr_t body(void *context, uint8_t *into, size_t length) {
    Context *mine = context;
    if (mine->body_left < 0) return -1;
    if (mine->body_left == 0 || length < 5) return 0;
    mine->body_left--;
    memcpy(into, "body\n", 5);
    return 5;
}
static const uint8_t *body_error(void *context, size_t *length) { (void)context; *length = 6; return (const uint8_t *)"broken"; }
static int32_t head(void *context, const uint8_t *text, size_t length) { say(context, "head", text + 6, length - 6); return 0; }
static int32_t data(void *context, const uint8_t *text, size_t length, int32_t flush) { say(context, flush ? "data, flushed" : "data", text, length); return 0; }
static void request_log(void *context, uint8_t level, const uint8_t *text, size_t length) { (void)level; say(context, "log", text, length); }
static void server_log(uint8_t level, const uint8_t *text, size_t length) {
    pthread_mutex_lock(&output);
    printf("server log %d: %.*s\n", level, (int)length, text);
    pthread_mutex_unlock(&output);
}

static void *run(void *unused) {
    (void)unused;
    for (int turn = 0; turn < repeat; turn++) {
        Context *context = calloc(1, sizeof *context);
        context->body_left = 3;
        Exchange exchange = {context, body, body_error, head, data, NULL, request_log, NULL, NULL, NULL, NULL};
        int32_t outcome = host->handle(&exchange, request, request_length);
        pthread_mutex_lock(&output);
        if (turn == repeat - 1) printf("%s", context->said);
        if (turn == repeat - 1) printf("outcome: %d\n", outcome);
        pthread_mutex_unlock(&output);
        free(context);
    }
    return NULL;
}

static uint8_t *load(const char *name, size_t *length) {
    FILE *file = fopen(name, "rb");
    uint8_t *content = malloc(1 << 20);
    *length = file ? fread(content, 1, 1 << 20, file) : 0;
    return content;
}

int main(int count, char **arguments) {
    if (count != 7) return 2;
    if (!dlopen(arguments[1], RTLD_NOW | RTLD_GLOBAL)) { puts(dlerror()); return 1; }
    void *library = dlopen(arguments[2], RTLD_NOW);
    if (!library) { puts(dlerror()); return 1; }
    const Host *(*entry)(void) = (const Host *(*)(void))dlsym(library, "mod_wsgi_host_embedded");
    host = entry();
    printf("host %u %s\n", host->abi, host->version);
    size_t launch_length;
    uint8_t *launch = load(arguments[3], &launch_length);
    request = load(arguments[4], &request_length);
    repeat = atoi(arguments[6]);
    if (host->start(launch, launch_length, server_log) != 0) return 3;
    int threads = atoi(arguments[5]);
    pthread_t running[64];
    for (int at = 0; at < threads; at++) pthread_create(&running[at], NULL, run, NULL);
    for (int at = 0; at < threads; at++) pthread_join(running[at], NULL);
    host->stop();
    puts("stopped");
    return 0;
}
