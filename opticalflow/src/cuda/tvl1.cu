// TV-L1 flow. One block of threads computes all levels, warps and iterations of a pair of images,
// without communication with the host.
//
// Each pixel takes the same operations in the same order as in the CPU code of this crate. Only the
// sum that ends the iterations is added in another order. Compile it without fused multiply-add.
//
// The file is both CUDA and C: one_thread.h replaces the GPU functions for a C compiler.

#ifdef __CUDACC__
#include <stdint.h>
#define KERNEL extern "C" __global__ void __launch_bounds__(1024, 1)
#define DEVICE static __device__ __forceinline__
// The warps of the block take the rows in turn. The lanes of a warp take the pixels of a row in
// turn.
DEVICE int lane(void) { return threadIdx.x & 31; }
DEVICE int lanes(void) { return 32; }
DEVICE int warp(void) { return threadIdx.x >> 5; }
DEVICE int warps(void) { return blockDim.x >> 5; }
DEVICE int this_pair(void) { return blockIdx.x; }
DEVICE void sync(void) { __syncthreads(); }
// Rounds to the nearest integer, halves to even. Saturates.
DEVICE int nearest(float value) { return __float2int_rn(value); }
// Returns the sum over all threads of the block to each thread. It is also a barrier: afterwards,
// all threads see what any thread has written before.
DEVICE float block_sum(float value) {
    __shared__ float sums[32];
    for (int reach = 16; reach > 0; reach >>= 1) value += __shfl_xor_sync(0xffffffffu, value, reach);
    if (lane() == 0) sums[warp()] = value;
    __syncthreads();
    float sum = 0.f;
    for (int i = 0; i < warps(); i++) sum += sums[i];
    return sum;
}
#else
#include "one_thread.h"
#endif

// plan.rs writes these three structures.
typedef struct {
    int64_t width, height;
    // Start of the two images of the level in the memory of a pair, in floats.
    int64_t images;
    // Start of the taps of the level: columns and rows for the resize from the next larger level
    // (shrink) and from the next smaller level (grow).
    int64_t shrink[2], grow[2];
} Level;

typedef struct {
    int levels, warps, outer_iterations, inner_iterations, median;
    // lambda * theta, theta, tau / theta, epsilon^2
    float threshold, theta, dual, epsilon2;
    // Factor of the flow when it is resized to the next larger level.
    float grow;
} Setup;

// The source pixels of one result pixel of a bilinear resize, on one axis.
typedef struct { int first, next; float weight; } Tap;

// The planes of one level. The planes of the flow and `spare` are swapped.
typedef struct {
    int width, height;
    float *first, *second;
    float *flow[2], *spare;
    // Grey value, d/dx, d/dy and 0 of the second image.
    float *gradient;
    float *dx, *dy, *inverse, *rho;
    // Dual variables of the x component (d/dx, d/dy), then of the y component (d/dx, d/dy).
    float *dual[4];
} Planes;

#define FOR_PIXELS(planes, y, x) \
    for (int y = warp(); y < (planes)->height; y += warps()) \
        for (int x = lane(); x < (planes)->width; x += lanes())

DEVICE int low(int a, int b) { return a < b ? a : b; }
DEVICE int high(int a, int b) { return a > b ? a : b; }

DEVICE void resize(
    const float* from, int from_width, float* to, int width, int height, const Tap* columns, const Tap* rows, float factor
) {
    for (int y = warp(); y < height; y += warps()) {
        Tap row = rows[y];
        const float *upper = from + (int64_t)row.first * from_width, *lower = from + (int64_t)row.next * from_width;
        for (int x = lane(); x < width; x += lanes()) {
            Tap column = columns[x];
            float above = upper[column.first] * (1.f - column.weight) + upper[column.next] * column.weight;
            float under = lower[column.first] * (1.f - column.weight) + lower[column.next] * column.weight;
            to[(int64_t)y * width + x] = (above * (1.f - row.weight) + under * row.weight) * factor;
        }
    }
}

DEVICE void set_gradient(const Planes* at) {
    FOR_PIXELS(at, y, x) {
        const float* row = at->second + (int64_t)y * at->width;
        const float* above = at->second + (int64_t)high(y - 1, 0) * at->width;
        const float* below = at->second + (int64_t)low(y + 1, at->height - 1) * at->width;
        float* to = at->gradient + 4 * ((int64_t)y * at->width + x);
        to[0] = row[x];
        to[1] = 0.5f * (row[low(x + 1, at->width - 1)] - row[high(x - 1, 0)]);
        to[2] = 0.5f * (below[x] - above[x]);
        to[3] = 0.f;
    }
}

// Interpolates the second image and its gradient where the flow points, by cubic convolution, and
// computes the data term. The weights have the shape [32][4].
DEVICE void linearise(const Planes* at, const float* weights) {
    FOR_PIXELS(at, y, x) {
        int64_t i = (int64_t)y * at->width + x;
        float u = at->flow[0][i], v = at->flow[1][i];
        int to_x = nearest(((float)x + u) * 32.f), to_y = nearest(((float)y + v) * 32.f);
        const float *across = weights + 4 * (to_x & 31), *down = weights + 4 * (to_y & 31);
        int left = (to_x >> 5) - 1, top = (to_y >> 5) - 1;
        float even[3] = {0.f, 0.f, 0.f}, odd[3] = {0.f, 0.f, 0.f};
        for (int r = 0; r < 4; r++) {
            float pixels[4][3];
            for (int c = 0; c < 4; c++) {
                int inside = left + c >= 0 && left + c < at->width && top + r >= 0 && top + r < at->height;
                const float* from = at->gradient + (inside ? 4 * ((int64_t)(top + r) * at->width + left + c) : 0);
                for (int k = 0; k < 3; k++) pixels[c][k] = inside ? from[k] : 0.f;
            }
            for (int k = 0; k < 3; k++) {
                even[k] = even[k] + (pixels[0][k] * across[0] + pixels[2][k] * across[2]) * down[r];
                odd[k] = odd[k] + (pixels[1][k] * across[1] + pixels[3][k] * across[3]) * down[r];
            }
        }
        float there = even[0] + odd[0], dx = even[1] + odd[1], dy = even[2] + odd[2];
        float square = dx * dx + dy * dy;
        at->dx[i] = dx;
        at->dy[i] = dy;
        at->inverse[i] = square > 1.1920929e-7f ? 1.f / square : 0.f;
        at->rho[i] = there - dx * u - dy * v - at->first[i];
    }
}

DEVICE void order(float* a, float* b) {
    float smaller = fminf(*a, *b);
    *b = fmaxf(*a, *b);
    *a = smaller;
}

// Computes the median of 5 x 5 pixels. Outside the image, border pixels are repeated.
//
// Of any 14 values, the smallest and the largest are not the median: drop them and add one more
// value.
DEVICE void median(const Planes* at, const float* from, float* to) {
    FOR_PIXELS(at, y, x) {
        float all[25];
#pragma unroll
        for (int r = 0; r < 5; r++) {
            const float* row = from + (int64_t)low(high(y + r - 2, 0), at->height - 1) * at->width;
#pragma unroll
            for (int c = 0; c < 5; c++) all[5 * r + c] = row[low(high(x + c - 2, 0), at->width - 1)];
        }
        // The first `left` values of `kept` may still be the median. The values of `all` from index
        // 14 are added one by one.
        float kept[14];
#pragma unroll
        for (int i = 0; i < 14; i++) kept[i] = all[i];
#pragma unroll
        for (int left = 14; left >= 3; left--) {
#pragma unroll
            for (int i = 1; i < left; i++) order(&kept[0], &kept[i]);
#pragma unroll
            for (int i = 1; i < left - 1; i++) order(&kept[i], &kept[left - 1]);
            // The loop drops the largest at the end. The next value replaces the smallest.
            if (left > 3) kept[0] = all[25 + 3 - left];
        }
        to[(int64_t)y * at->width + x] = kept[1];
    }
}

DEVICE float divergence(const float* dx, const float* dy, int64_t i, int x, int y, int width) {
    float across = dx[i] - (x > 0 ? dx[i - 1] : 0.f);
    return across + (dy[i] - (y > 0 ? dy[i - width] : 0.f));
}

// Updates the flow, then the dual variables. Returns the sum of the squared changes of the flow.
DEVICE float iterate(const Planes* at, Setup setup) {
    int width = at->width;
    float *u = at->flow[0], *v = at->flow[1], moved = 0.f;
    FOR_PIXELS(at, y, x) {
        int64_t i = (int64_t)y * width + x;
        float dx = at->dx[i], dy = at->dy[i], before_u = u[i], before_v = v[i];
        float rho = at->rho[i] + (dx * before_u + dy * before_v);
        float pull = fmaxf(fminf(0.f - rho * at->inverse[i], setup.threshold), -setup.threshold);
        float after_u = before_u + pull * dx + setup.theta * divergence(at->dual[0], at->dual[1], i, x, y, width);
        float after_v = before_v + pull * dy + setup.theta * divergence(at->dual[2], at->dual[3], i, x, y, width);
        u[i] = after_u;
        v[i] = after_v;
        float moved_u = after_u - before_u, moved_v = after_v - before_v;
        moved += moved_u * moved_u + moved_v * moved_v;
    }
    moved = block_sum(moved);
    FOR_PIXELS(at, y, x) {
        int64_t i = (int64_t)y * width + x;
        for (int axis = 0; axis < 2; axis++) {
            const float* flow = at->flow[axis];
            float *dx = at->dual[2 * axis], *dy = at->dual[2 * axis + 1];
            float right = (x + 1 < width ? flow[i + 1] : flow[i]) - flow[i];
            float down = (y + 1 < at->height ? flow[i + width] : flow[i]) - flow[i];
            float shrink = 1.f / (1.f + setup.dual * sqrtf(right * right + down * down));
            dx[i] = (dx[i] + setup.dual * right) * shrink;
            dy[i] = (dy[i] + setup.dual * down) * shrink;
        }
    }
    sync();
    return moved;
}

// Improves the flow of a level, starting from its current value.
DEVICE void refine(Planes* at, Setup setup, const float* weights) {
    float enough = setup.epsilon2 * (float)(at->width * at->height);
    set_gradient(at);
    FOR_PIXELS(at, y, x) {
        for (int k = 0; k < 4; k++) at->dual[k][(int64_t)y * at->width + x] = 0.f;
    }
    sync();
    for (int w = 0; w < setup.warps; w++) {
        linearise(at, weights);
        sync();
        float error = 3.4028235e38f;
        for (int outer = 0; outer < setup.outer_iterations && error > enough; outer++) {
            if (setup.median) {
                for (int axis = 0; axis < 2; axis++) {
                    float* filtered = at->spare;
                    median(at, at->flow[axis], filtered);
                    at->spare = at->flow[axis];
                    at->flow[axis] = filtered;
                    sync();
                }
            }
            for (int left = setup.inner_iterations; left > 0 && error > enough; left--) error = iterate(at, setup);
        }
    }
}

// Computes the flow from each frame to the next. `frames` has the shape [pairs + 1, height, width],
// and `flows` has the shape [pairs, 2, height, width]. The memory of a pair has `pair_memory`
// floats: the gradient image, 13 planes of the largest level, and the images of all levels.
KERNEL tvl1_pairs(
    const uint8_t* frames, float* flows, float* memory, int64_t pair_memory, const Setup* settings, const Level* levels,
    const Tap* taps, const float* weights
) {
    Setup setup = *settings;
    int64_t pixels = levels[0].width * levels[0].height;
    float* mine = memory + this_pair() * pair_memory;
    const uint8_t* pair = frames + this_pair() * pixels;
    Planes at;
    at.gradient = mine;
    float *next[2], *planes = mine + 4 * pixels;
    for (int k = 0; k < 2; k++) at.flow[k] = planes + k * pixels, next[k] = planes + (2 + k) * pixels;
    at.spare = planes + 4 * pixels;
    at.dx = planes + 5 * pixels;
    at.dy = planes + 6 * pixels;
    at.inverse = planes + 7 * pixels;
    at.rho = planes + 8 * pixels;
    for (int k = 0; k < 4; k++) at.dual[k] = planes + (9 + k) * pixels;

    at.width = (int)levels[0].width;
    at.height = (int)levels[0].height;
    FOR_PIXELS(&at, y, x) {
        int64_t i = (int64_t)y * at.width + x;
        for (int k = 0; k < 2; k++) mine[levels[0].images + k * pixels + i] = (float)pair[k * pixels + i];
    }
    sync();
    for (int l = 1; l < setup.levels; l++) {
        Level to = levels[l], from = levels[l - 1];
        for (int k = 0; k < 2; k++) {
            const float* image = mine + from.images + k * from.width * from.height;
            resize(image, (int)from.width, mine + to.images + k * to.width * to.height, (int)to.width, (int)to.height,
                   taps + to.shrink[0], taps + to.shrink[1], 1.f);
        }
        sync();
    }
    for (int l = setup.levels - 1; l >= 0; l--) {
        Level level = levels[l];
        at.width = (int)level.width;
        at.height = (int)level.height;
        at.first = mine + level.images;
        at.second = at.first + level.width * level.height;
        for (int k = 0; k < 2; k++) {
            if (l + 1 < setup.levels) {
                resize(at.flow[k], (int)levels[l + 1].width, next[k], at.width, at.height, taps + level.grow[0],
                       taps + level.grow[1], setup.grow);
            } else {
                FOR_PIXELS(&at, y, x) next[k][(int64_t)y * at.width + x] = 0.f;
            }
            float* old = at.flow[k];
            at.flow[k] = next[k];
            next[k] = old;
        }
        sync();
        refine(&at, setup, weights);
    }
    FOR_PIXELS(&at, y, x) {
        int64_t i = (int64_t)y * at.width + x;
        for (int k = 0; k < 2; k++) flows[(2 * this_pair() + k) * pixels + i] = at.flow[k][i];
    }
}
