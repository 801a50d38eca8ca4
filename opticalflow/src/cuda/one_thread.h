// Replaces the GPU functions that tvl1.cu uses, for a C compiler. A block has one thread.
#include <math.h>
#include <stdint.h>

#define KERNEL void
#define DEVICE static inline

static int pair_number = 0;

DEVICE int lane(void) { return 0; }
DEVICE int lanes(void) { return 1; }
DEVICE int warp(void) { return 0; }
DEVICE int warps(void) { return 1; }
DEVICE int this_pair(void) { return pair_number; }
DEVICE void sync(void) {}
DEVICE float block_sum(float value) { return value; }

DEVICE int nearest(float value) {
    if (!(fabsf(value) < 2147483648.f)) return value > 0.f ? INT32_MAX : value < 0.f ? INT32_MIN : 0;
    return (int)rintf(value);
}
