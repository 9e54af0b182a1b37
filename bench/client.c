/*
 * The C library's side of `cargo xtask bench client`: the same things as in src/client.rs, in the same order, told by
 * the same lines "name value".
 */
#define _GNU_SOURCE
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define UPLOAD_LEN (1L << 30)
#define PIECE_LEN (256 * 1024)

static double clock_of(clockid_t id) {
    struct timespec at;
    clock_gettime(id, &at);
    return at.tv_sec + at.tv_nsec * 1e-9;
}

static double elapsed(void) { return clock_of(CLOCK_MONOTONIC); }
static double processor(void) { return clock_of(CLOCK_PROCESS_CPUTIME_ID); }

static void tell(const char *name, double value) { printf("%s %.9e\n", name, value); }

static void tell_rate(double count, double started, double processor_before) {
    double seconds = elapsed() - started, used = processor() - processor_before;
    tell("rate", count / seconds);
    tell("cpu", used / count);
}

static int ascending(const void *left, const void *right) {
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

static void tell_median(double *durations, long count) {
    qsort(durations, count, sizeof *durations, ascending);
    tell("seconds", durations[count / 2]);
}

static void *checked(void *pointer) {
    if (!pointer) {
        fprintf(stderr, "client.c: %s\n", virGetLastErrorMessage());
        exit(1);
    }
    return pointer;
}

static void done(int result) {
    if (result < 0) checked(NULL);
}

/* A number in a file of /proc. */
static double number_in(const char *path, const char *name) {
    char line[256];
    double value = 0;
    FILE *file = checked(fopen(path, "r"));
    while (fgets(line, sizeof line, file))
        if (!strncmp(line, name, strlen(name)) && line[strlen(name)] == ':') value = atof(line + strlen(name) + 1);
    fclose(file);
    return value;
}

/* The memory that this process has in use, in bytes, counted when it is asked for. */
static double memory(void) { return number_in("/proc/self/smaps_rollup", "Rss") * 1024; }

static virDomainPtr first_domain(virConnectPtr connection) {
    virDomainPtr *domains, first;
    int count = virConnectListAllDomains(connection, &domains, 0);
    done(count);
    if (count == 0) {
        fprintf(stderr, "client.c: there is no domain\n");
        exit(1);
    }
    first = domains[0];
    for (int index = 1; index < count; index++) virDomainFree(domains[index]);
    free(domains);
    return first;
}

static void latency(const char *uri, long count) {
    virDomainPtr domain = first_domain(checked(virConnectOpen(uri)));
    double *durations = calloc(count, sizeof *durations);
    for (long turn = 0; turn < count + count / 10; turn++) {
        virDomainInfo info;
        double started = elapsed();
        done(virDomainGetInfo(domain, &info));
        if (turn >= count / 10) durations[turn - count / 10] = elapsed() - started;
    }
    tell_median(durations, count);
}

struct share {
    virDomainPtr domain;
    long count;
};

static void *call_often(void *argument) {
    const struct share *share = argument;
    for (long turn = 0; turn < share->count; turn++) {
        virDomainInfo info;
        done(virDomainGetInfo(share->domain, &info));
    }
    return NULL;
}

static void start_all(pthread_t *threads, long count, void *(*body)(void *), void *argument) {
    for (long index = 0; index < count; index++)
        if (pthread_create(&threads[index], NULL, body, argument)) {
            fprintf(stderr, "client.c: no thread\n");
            exit(1);
        }
}

static void calls(const char *uri, long threads, long count) {
    struct share share = {first_domain(checked(virConnectOpen(uri))), count / threads};
    pthread_t *ids = calloc(threads, sizeof *ids);
    double processor_before = processor(), started = elapsed();
    start_all(ids, threads, call_often, &share);
    for (long index = 0; index < threads; index++) pthread_join(ids[index], NULL);
    tell_rate(share.count * threads, started, processor_before);
}

static void list(const char *uri, long count) {
    virConnectPtr connection = checked(virConnectOpen(uri));
    double *durations = calloc(count, sizeof *durations);
    for (long turn = 0; turn < count; turn++) {
        virDomainPtr *domains;
        double started = elapsed();
        int found = virConnectListAllDomains(connection, &domains, 0);
        durations[turn] = elapsed() - started;
        done(found);
        for (int index = 0; index < found; index++) virDomainFree(domains[index]);
        free(domains);
    }
    tell_median(durations, count);
}

static virStorageVolPtr volume(virConnectPtr connection) {
    virStoragePoolPtr pool = checked(virStoragePoolLookupByName(connection, "pool"));
    return checked(virStorageVolLookupByName(pool, "volume"));
}

static void download(const char *uri) {
    virConnectPtr connection = checked(virConnectOpen(uri));
    virStorageVolPtr from = volume(connection);
    char *buffer = calloc(1, PIECE_LEN);
    double processor_before = processor(), started = elapsed(), total = 0;
    virStreamPtr stream = checked(virStreamNew(connection, 0));
    int length;
    done(virStorageVolDownload(from, stream, 0, 0, 0));
    while ((length = virStreamRecv(stream, buffer, PIECE_LEN)) > 0) total += length;
    done(length);
    done(virStreamFinish(stream));
    tell_rate(total, started, processor_before);
}

static void upload(const char *uri) {
    virConnectPtr connection = checked(virConnectOpen(uri));
    virStorageVolPtr to = volume(connection);
    char *buffer = malloc(PIECE_LEN);
    memset(buffer, 7, PIECE_LEN);
    double processor_before = processor(), started = elapsed();
    virStreamPtr stream = checked(virStreamNew(connection, 0));
    done(virStorageVolUpload(to, stream, 0, 0, 0));
    for (long left = UPLOAD_LEN; left > 0;) {
        int sent = virStreamSend(stream, buffer, left < PIECE_LEN ? left : PIECE_LEN);
        done(sent);
        left -= sent;
    }
    done(virStreamFinish(stream));
    tell_rate(UPLOAD_LEN, started, processor_before);
}

static void *run_events(void *argument) {
    (void)argument;
    for (;;) done(virEventRunDefaultImpl());
    return NULL;
}

struct opening {
    const char *uri;
    long keepalive;
    atomic_long left;
};

static virConnectPtr open_one(const struct opening *opening) {
    virConnectPtr connection = checked(virConnectOpen(opening->uri));
    if (opening->keepalive > 0) done(virConnectSetKeepAlive(connection, opening->keepalive, 5));
    return connection;
}

static void *open_many(void *argument) {
    struct opening *opening = argument;
    while (atomic_fetch_sub(&opening->left, 1) > 0) open_one(opening);
    return NULL;
}

static void idle(const char *uri, long count, long threads, long keepalive) {
    struct opening opening = {uri, keepalive, count};
    pthread_t *ids = calloc(threads, sizeof *ids), events;
    if (keepalive > 0) {
        /* Without an event loop the library has no keepalive. */
        done(virEventRegisterDefaultImpl());
        start_all(&events, 1, run_events, NULL);
    }
    double none = memory();
    open_one(&opening);
    double one = memory(), started = elapsed();
    if (threads == 1) {
        open_many(&opening);
    } else {
        start_all(ids, threads, open_many, &opening);
        for (long index = 0; index < threads; index++) pthread_join(ids[index], NULL);
    }
    tell("seconds", elapsed() - started);
    double all = memory();
    tell("memory", (all - none) / count);
    tell("further", (all - one) / count);
    tell("threads", number_in("/proc/self/status", "Threads"));
}

/* Errors are told where they are looked at. */
static void ignore(void *data, virErrorPtr error) {
    (void)data;
    (void)error;
}

int main(int count, char **arguments) {
    const char *what = count > 2 ? arguments[1] : "", *uri = count > 2 ? arguments[2] : NULL;
    long numbers[4] = {0};
    for (int index = 3; index < count && index < 7; index++) numbers[index - 3] = atol(arguments[index]);
    virSetErrorFunc(NULL, ignore);
    if (count == 2 && !strcmp(arguments[1], "version")) {
        unsigned long version;
        done(virGetVersion(&version, NULL, NULL));
        printf("libvirt's C library %lu.%lu.%lu\n", version / 1000000, version / 1000 % 1000, version % 1000);
        return 0;
    }
    if (!strcmp(what, "latency")) latency(uri, numbers[0]);
    else if (!strcmp(what, "calls")) calls(uri, numbers[1], numbers[2]); /* behind a cap, which the library has not */
    else if (!strcmp(what, "list")) list(uri, numbers[0]);
    else if (!strcmp(what, "download")) download(uri);
    else if (!strcmp(what, "upload")) upload(uri);
    else if (!strcmp(what, "idle")) idle(uri, numbers[0], numbers[1], numbers[2]);
    else {
        fprintf(stderr, "client.c: nothing to measure\n");
        return 1;
    }
    return 0;
}
