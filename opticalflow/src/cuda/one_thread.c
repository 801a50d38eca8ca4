// Runs the kernel of tvl1.cu on the CPU, with a block of one thread per pair.
//
// Usage: one_thread IN OUT
//
// IN holds four int64: the numbers of pairs, of levels, of taps, and of floats in the memory of a
// pair. The setup, the levels, the taps, the weights and the frames follow. The program writes the
// flows to OUT.
#include "tvl1.cu"

#include <stdio.h>
#include <stdlib.h>

static void* take(FILE* file, size_t bytes) {
    void* memory = malloc(bytes ? bytes : 1);
    if (!memory || fread(memory, 1, bytes, file) != bytes) exit(2);
    return memory;
}

int main(int count, char** names) {
    if (count != 3) return 2;
    FILE* in = fopen(names[1], "rb");
    if (!in) return 2;
    const int64_t* sizes = take(in, 4 * sizeof(int64_t));
    int64_t pairs = sizes[0];
    const Setup* settings = take(in, sizeof(Setup));
    const Level* levels = take(in, sizes[1] * sizeof(Level));
    const Tap* taps = take(in, sizes[2] * sizeof(Tap));
    const float* weights = take(in, 32 * 4 * sizeof(float));
    int64_t pixels = levels[0].width * levels[0].height;
    const uint8_t* frames = take(in, (pairs + 1) * pixels);
    float* memory = malloc(pairs * sizes[3] * sizeof(float));
    float* flows = malloc(2 * pairs * pixels * sizeof(float));
    if (!memory || !flows) return 2;
    for (int64_t i = 0; i < pairs * sizes[3]; i++) memory[i] = NAN;
    for (; pair_number < pairs; pair_number++) tvl1_pairs(frames, flows, memory, sizes[3], settings, levels, taps, weights);
    FILE* out = fopen(names[2], "wb");
    if (!out || fwrite(flows, sizeof(float), 2 * pairs * pixels, out) != (size_t)(2 * pairs * pixels)) return 2;
    return fclose(out) ? 2 : 0;
}
