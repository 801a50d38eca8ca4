/* A stub of the NVIDIA driver and libraries for tests. Its GPU computes nothing: it allocates and copies host memory,
 * but kernels, convolutions and matrix products leave their results unchanged. At exit it writes its counters to the
 * file that STUB_GPU_COUNTS names. The test adds all functions of ../delayload/functions.txt that are missing here;
 * these do nothing and return success. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static long number(const char *name, long otherwise) {
    const char *text = getenv(name);
    return text ? atol(text) : otherwise;
}

/* Several threads count at the same time. */
static long launches, graph_launches, allocations, frees, waits, downloads, searches;
static __thread int capturing;
/* Like the driver, fails with error 900 if a thread that records a graph waits, or allocates memory outside a pool. */
#define NOT_WHILE_RECORDING if (capturing) return 900
#define COUNT(what) __atomic_add_fetch(&what, 1, __ATOMIC_RELAXED)

__attribute__((destructor)) static void write_counts(void) {
    const char *path = getenv("STUB_GPU_COUNTS");
    FILE *file = path ? fopen(path, "w") : NULL;
    if (!file) return;
    fprintf(file,
        "{\"launches\": %ld, \"graph_launches\": %ld, \"allocations\": %ld, \"frees\": %ld, \"waits\": %ld, "
        "\"downloads\": %ld, \"searches\": %ld}\n",
        launches, graph_launches, allocations, frees, waits, downloads, searches);
    fclose(file);
}

/* Returns a handle: an address that is never read. */
static int handle(void **out) { *out = (void *)&launches; return 0; }

/* Functions of the driver. */
int cuInit(unsigned flags) { return number("STUB_GPU_INIT", 0); }
int cuDriverGetVersion(int *version) { *version = number("STUB_GPU_DRIVER", 13000); return 0; }
int cuDeviceGetCount(int *count) { *count = 1; return 0; }
int cuDeviceGet(int *device, int ordinal) { *device = ordinal; return 0; }
int cuDeviceGetName(char *name, int len, int device) { snprintf(name, len, "Stub GPU"); return 0; }
int cuDeviceGetAttribute(int *value, int attribute, int device) {
    long capability = number("STUB_GPU_CAPABILITY", 90);
    *value = attribute == 75 ? capability / 10 : attribute == 76 ? capability % 10 : 1;
    return 0;
}
int cuDevicePrimaryCtxRetain(void **context, int device) { return handle(context); }
int cuCtxGetCurrent(void **context) { return handle(context); }
int cuCtxSynchronize(void) { NOT_WHILE_RECORDING; COUNT(waits); return 0; }
int cuDeviceGetDefaultMemPool(void **pool, int device) { return handle(pool); }
int cuGetErrorName(int error, const char **text) { *text = "an error's name"; return 0; }
int cuGetErrorString(int error, const char **text) { *text = "an error's text"; return 0; }

/* Counts only waits that leave the GPU idle: waits for the graph that was launched last. Waits for copies in another
 * stream and for earlier graphs do not count. */
struct event { void *stream; long started; };
static void *stream_of_graphs;
int cuStreamCreate(void **stream, unsigned flags) { return (*stream = malloc(1)) ? 0 : 2; }
int cuStreamSynchronize(void *stream) {
    NOT_WHILE_RECORDING;
    if (stream == stream_of_graphs) COUNT(waits);
    return 0;
}
int cuEventCreate(void **event, unsigned flags) { return (*event = calloc(1, sizeof(struct event))) ? 0 : 2; }
int cuEventDestroy_v2(void *event) { free(event); return 0; }
int cuEventRecord(struct event *event, void *stream) {
    *event = (struct event){stream, graph_launches};
    return 0;
}
int cuEventSynchronize(struct event *event) {
    NOT_WHILE_RECORDING;
    if (event->stream && event->stream == stream_of_graphs && event->started == graph_launches) COUNT(waits);
    return 0;
}
int cuEventElapsedTime(float *ms, void *start, void *end) { *ms = 1; return 0; }
int cuEventElapsedTime_v2(float *ms, void *start, void *end) { *ms = 1; return 0; }
int cuModuleLoadData(void **module, const void *image) { return handle(module); }
int cuModuleGetFunction(void **function, void *module, const char *name) { return handle(function); }
int cuLaunchKernel(void) { COUNT(launches); return 0; }

/* Work is done while it is recorded into a graph; launching the graph does nothing. Calls that are not allowed while
 * recording fail as they do on a GPU. */
int cuStreamIsCapturing(void *stream, int *status) { *status = capturing; return 0; }
int cuStreamBeginCapture_v2(void *stream, int mode) { capturing = 1; return 0; }
int cuStreamEndCapture(void *stream, void **graph) { capturing = 0; return handle(graph); }
int cuGraphInstantiateWithFlags(void **exec, void *graph, unsigned long long flags) { return handle(exec); }
int cuGraphLaunch(void *exec, void *stream) { stream_of_graphs = stream; COUNT(graph_launches); return 0; }

static int allocate(unsigned long long *address, size_t bytes) {
    static long taken;
    long limit = number("STUB_GPU_MEMORY", 0), now = __atomic_add_fetch(&taken, (long)bytes, __ATOMIC_RELAXED);
    if (limit && now > limit) return 2;
    COUNT(allocations);
    /* The memory is cleared, so that results which no kernel writes are finite numbers. */
    return (*address = (unsigned long long)calloc(bytes ? bytes : 1, 1)) ? 0 : 2;
}
int cuMemAllocAsync(unsigned long long *address, size_t bytes, void *stream) { return allocate(address, bytes); }
int cuMemAlloc_v2(unsigned long long *address, size_t bytes) { NOT_WHILE_RECORDING; return allocate(address, bytes); }
int cuMemFree_v2(unsigned long long address) { COUNT(frees); free((void *)address); return 0; }
int cuMemFreeAsync(unsigned long long address, void *stream) { return cuMemFree_v2(address); }

/* Page-locked memory, in blocks. A copy from the GPU to any other memory waits. */
#define BLOCKS 4096
static struct { char *start; size_t bytes; } locked[BLOCKS];
static int is_locked(const char *address) {
    for (int i = 0; i < BLOCKS; i++)
        if (locked[i].start && address >= locked[i].start && address < locked[i].start + locked[i].bytes) return 1;
    return 0;
}
int cuMemHostAlloc(char **address, size_t bytes, unsigned flags) {
    NOT_WHILE_RECORDING;
    char *memory = calloc(bytes, 1), *empty = NULL;
    for (int i = 0; memory && i < BLOCKS; i++, empty = NULL)
        if (__atomic_compare_exchange_n(&locked[i].start, &empty, memory, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
            locked[i].bytes = bytes;
            return *address = memory, 0;
        }
    return 2;
}
int cuMemFreeHost(char *address) {
    for (int i = 0; i < BLOCKS; i++)
        if (locked[i].start == address) locked[i].start = NULL;
    free(address);
    return 0;
}
static int copy(unsigned long long to, unsigned long long from, size_t bytes) {
    memmove((void *)to, (void *)from, bytes);
    return 0;
}
int cuMemcpyHtoDAsync_v2(unsigned long long to, const void *from, size_t bytes, void *stream) {
    return copy(to, (unsigned long long)from, bytes);
}
int cuMemcpyDtoHAsync_v2(void *to, unsigned long long from, size_t bytes, void *stream) {
    COUNT(downloads);
    if (!is_locked(to)) {
        NOT_WHILE_RECORDING;
        COUNT(waits);
    }
    return copy((unsigned long long)to, from, bytes);
}
int cuMemcpyDtoDAsync_v2(unsigned long long to, unsigned long long from, size_t bytes, void *stream) {
    return copy(to, from, bytes);
}
int cuMemsetD8Async(unsigned long long to, unsigned char value, size_t bytes, void *stream) {
    memset((void *)to, value, bytes);
    return 0;
}

/* Functions of the libraries. */
int cublasCreate_v2(void **out) { return handle(out); }
int curandCreateGenerator(void **out, int kind) { return handle(out); }
int cudnnCreate(void **out) { return handle(out); }
int cudnnCreateTensorDescriptor(void **out) { return handle(out); }
int cudnnCreateFilterDescriptor(void **out) { return handle(out); }
int cudnnCreateConvolutionDescriptor(void **out) { return handle(out); }
size_t cudnnGetVersion(void) { return 91900; }
size_t cudnnGetCudartVersion(void) { return 13000; }

/* Reports two algorithms, of which the second is faster. */
struct performance { int algorithm, status; float milliseconds; size_t memory; int determinism, math, reserved[3]; };
static int algorithms(int *count, struct performance *found) {
    struct performance both[] = {{0, 0, 2, 0, 1, 1}, {1, 0, 1, 4096, 1, 1}};
    memcpy(found, both, sizeof both);
    *count = 2;
    COUNT(searches);
    return 0;
}
int cudnnFindConvolutionForwardAlgorithmEx(void *h, void *xd, void *x, void *wd, void *w, void *c, void *yd, void *y,
    int max, int *count, struct performance *found) { return algorithms(count, found); }
int cudnnFindConvolutionBackwardDataAlgorithmEx(void *h, void *wd, void *w, void *yd, void *y, void *c, void *xd,
    void *x, int max, int *count, struct performance *found) { return algorithms(count, found); }
int cudnnFindConvolutionBackwardFilterAlgorithmEx(void *h, void *xd, void *x, void *yd, void *y, void *c, void *wd,
    void *w, int max, int *count, struct performance *found) { return algorithms(count, found); }
/* Chooses by the rules of cuDNN, which is no search. */
static int rules(int *count, struct performance *found) { algorithms(count, found); searches--; return 0; }
int cudnnGetConvolutionForwardAlgorithm_v7(void *h, void *xd, void *wd, void *c, void *yd, int max, int *count,
    struct performance *found) { return rules(count, found); }
int cudnnGetConvolutionBackwardDataAlgorithm_v7(void *h, void *wd, void *yd, void *c, void *xd, int max, int *count,
    struct performance *found) { return rules(count, found); }
int cudnnGetConvolutionBackwardFilterAlgorithm_v7(void *h, void *xd, void *yd, void *c, void *wd, int max, int *count,
    struct performance *found) { return rules(count, found); }
