/* Loads a host as mod_wsgi.so does in an Apache child, and runs requests on threads of its own.
 * Usage: embedded LIBPYTHON HOST LAUNCH-FILE STEPS-FILE THREADS REPEAT [elsewhere | early]. Prints what the host says. At
 * the end Python is stopped by the thread that started it, by another one, or by the first one while requests run.
 * A step is a letter, the length of its content as native uint32, and the content: r runs a request, c calls a script, both
 * as capital letters with a request_rec, w writes a file (name, NUL, text). */
#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct {
    void *context;
    intptr_t (*read)(void *, uint8_t *, size_t);
    const uint8_t *(*read_error)(void *, size_t *);
    int32_t (*head)(void *, const uint8_t *, size_t);
    int32_t (*data)(void *, const uint8_t *, size_t, int32_t);
    int32_t (*file)(void *, int32_t, uint64_t, uint64_t);
    void (*log)(void *, const uint8_t *, size_t);
    void (*answer)(void *, const uint8_t *, size_t);
    int32_t (*is_https)(void *);
    const uint8_t *(*ssl_variable)(void *, const uint8_t *, size_t, size_t *);
    void *request_rec;
} Exchange;

typedef struct {
    void (*log)(const uint8_t *, size_t);
    void (*scoreboard)(void (*)(void *, const uint8_t *, size_t), void *);
} Server;

typedef struct {
    uint32_t abi;
    const char *version;
    int32_t (*start)(const uint8_t *, size_t, const Server *);
    int32_t (*handle)(const Exchange *, const uint8_t *, size_t);
    int32_t (*call)(const Exchange *, const uint8_t *, size_t);
    void (*stop)(void);
} Host;

static const Host *host;
static uint8_t *steps;
static size_t steps_length;
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
static int32_t head(void *context, const uint8_t *text, size_t length) { say(context, "head", text + 14, length - 14); return 0; }
static int32_t data(void *context, const uint8_t *text, size_t length, int32_t fate) { say(context, fate == 1 ? "data, flushed" : fate == 2 ? "data, last" : "data", text, length); return 0; }
static int32_t file(void *context, int32_t descriptor, uint64_t offset, uint64_t length) {
    char text[1 << 12];
    ssize_t size = length < sizeof text ? pread(descriptor, text, length, (off_t)offset) : -1;
    lseek(descriptor, 0, SEEK_END);
    say(context, "file", (const uint8_t *)text, size < 0 ? 0 : (size_t)size);
    return 0;
}
static void answer(void *context, const uint8_t *bytes, size_t length) {
    char text[1 << 12];
    for (size_t at = 0; at < length; at++) snprintf(text + 2 * at, 3, "%02x", bytes[at]);
    say(context, "answer", (const uint8_t *)text, 2 * length);
}
static int32_t is_https(void *context) { (void)context; return 1; }
static const uint8_t *ssl_variable(void *context, const uint8_t *name, size_t name_length, size_t *length) {
    (void)context;
    *length = 8;
    return name_length == 7 && !memcmp(name, "SSL_ANY", 7) ? (const uint8_t *)"value \xe4\xf6" : NULL;
}
/* A record: level, line and length of the file's name as uint32, the name, the text. */
static size_t before_text(const uint8_t *record) { uint32_t name; memcpy(&name, record + 5, sizeof name); return 9 + name; }
static void request_log(void *context, const uint8_t *record, size_t length) {
    say(context, "log", record + before_text(record), length - before_text(record));
}
static void server_log(const uint8_t *record, size_t length) {
    size_t text = before_text(record);
    pthread_mutex_lock(&output);
    printf("server log %d: %.*s\n", record[0], (int)(length - text), record + text);
    pthread_mutex_unlock(&output);
}
/* Server limit 2, thread limit 3, generation 4, started at 5 seconds, and no processes. */
static void scoreboard(void (*take)(void *, const uint8_t *, size_t), void *context) {
    uint32_t numbers[] = {2, 3, 4, 5000000, 0, 0};
    take(context, (const uint8_t *)numbers, sizeof numbers);
}

static void run_step(char kind, const uint8_t *content, size_t length, int is_last) {
    if (kind == 'w') {
        FILE *written = fopen((const char *)content, "wb");
        size_t name = strlen((const char *)content) + 1;
        if (written && fwrite(content + name, length - name, 1, written) == 1) fclose(written);
        return;
    }
    Context *context = calloc(1, sizeof *context);
    context->body_left = 3;
    void *request_rec = kind == 'R' || kind == 'C' ? context : NULL;
    Exchange exchange = {context, body, body_error, head, data, file, request_log, answer, is_https, ssl_variable, request_rec};
    int is_call = kind == 'c' || kind == 'C';
    int32_t outcome = (is_call ? host->call : host->handle)(&exchange, content, length);
    pthread_mutex_lock(&output);
    if (is_last) printf("%soutcome: %d\n", context->said, outcome);
    pthread_mutex_unlock(&output);
    free(context);
}

static void *run(void *unused) {
    (void)unused;
    for (int turn = 0; turn < repeat; turn++) {
        uint32_t length;
        for (uint8_t *step = steps; step < steps + steps_length; step += 5 + length) {
            memcpy(&length, step + 1, sizeof length);
            run_step((char)step[0], step + 5, length, turn == repeat - 1);
        }
    }
    return NULL;
}

static void *stop(void *unused) {
    host->stop();
    return unused;
}

static uint8_t *load(const char *name, size_t *length) {
    FILE *file = fopen(name, "rb");
    uint8_t *content = malloc(1 << 20);
    *length = file ? fread(content, 1, 1 << 20, file) : 0;
    return content;
}

int main(int count, char **arguments) {
    if (count < 7) return 2;
    if (!dlopen(arguments[1], RTLD_NOW | RTLD_GLOBAL)) { puts(dlerror()); return 1; }
    void *library = dlopen(arguments[2], RTLD_NOW);
    if (!library) { puts(dlerror()); return 1; }
    const Host *(*entry)(void) = (const Host *(*)(void))dlsym(library, "mod_wsgi_host_embedded");
    host = entry();
    printf("host %u %s\n", host->abi, host->version);
    size_t launch_length;
    uint8_t *launch = load(arguments[3], &launch_length);
    steps = load(arguments[4], &steps_length);
    repeat = atoi(arguments[6]);
    Server server = {server_log, scoreboard};
    if (host->start(launch, launch_length, &server) != 0) return 3;
    int threads = atoi(arguments[5]);
    pthread_t running[64];
    for (int at = 0; at < threads; at++) pthread_create(&running[at], NULL, run, NULL);
    const char *how = count > 7 ? arguments[7] : "";
    if (!strcmp(how, "early")) {
        usleep(500000);
        stop(NULL);
    }
    for (int at = 0; at < threads; at++) pthread_join(running[at], NULL);
    if (!strcmp(how, "elsewhere")) {
        pthread_create(&running[0], NULL, stop, NULL);
        pthread_join(running[0], NULL);
    }
    if (!*how) stop(NULL);
    puts("stopped");
    return 0;
}
