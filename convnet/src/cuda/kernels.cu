// Kernels for operations that cuDNN does not have or that are slow there, for NHWC images in f32
// and bf16. Sums and statistics are f32 or f64.
//
// All kernels give the same bits in every run: partial sums have fixed places, are added in a fixed
// order, and there are no atomics.
//
// The kernels see images as [rows, channels], where a row is a pixel. A thread has V neighbouring
// channels: 16 bytes, or 1 channel if the number of channels is not a multiple of that. It loops
// over rows. blockDim is (groups of V channels, rows).

#include <cuda_bf16.h>
#include <stdint.h>

typedef __nv_bfloat16 bf16;

__device__ __forceinline__ float to_float(float v) { return v; }
__device__ __forceinline__ float to_float(bf16 v) { return __bfloat162float(v); }
template <typename T> __device__ __forceinline__ T from_float(float v);
template <> __device__ __forceinline__ float from_float<float>(float v) { return v; }
template <> __device__ __forceinline__ bf16 from_float<bf16>(float v) { return __float2bfloat16(v); }

template <typename T, int V> struct alignas(sizeof(T) * V) Pack { T v[V]; };

template <typename T, int V> __device__ __forceinline__ void load(const T* from, float (&to)[V]) {
    Pack<T, V> pack = *reinterpret_cast<const Pack<T, V>*>(from);
#pragma unroll
    for (int i = 0; i < V; i++) to[i] = to_float(pack.v[i]);
}

template <typename T, int V> __device__ __forceinline__ void store(T* to, const float (&from)[V]) {
    Pack<T, V> pack;
#pragma unroll
    for (int i = 0; i < V; i++) pack.v[i] = from_float<T>(from[i]);
    *reinterpret_cast<Pack<T, V>*>(to) = pack;
}

// ReLU. NaN stays NaN, as in PyTorch.
__device__ __forceinline__ float rectify(float v) { return v <= 0.f ? 0.f : v; }

// ---- sums over rows -------------------------------------------------------------------------------------------------

// Adds the sums of the threads of a block along y, in order, and stores them in
// partial[block][2][channels].
template <int V>
__device__ __forceinline__ void block_sums(float (&a)[V], float (&b)[V], float* partial, int channels, int first) {
    extern __shared__ float shared[];  // [2][blockDim.y][blockDim.x * V]
    int width = blockDim.x * V, half = blockDim.y * width;
#pragma unroll
    for (int i = 0; i < V; i++) {
        shared[threadIdx.y * width + threadIdx.x * V + i] = a[i];
        shared[half + threadIdx.y * width + threadIdx.x * V + i] = b[i];
    }
    __syncthreads();
    int thread = threadIdx.y * blockDim.x + threadIdx.x;
    int block_first = blockIdx.y * width;
    for (int c = thread; c < width; c += blockDim.x * blockDim.y) {
        if (block_first + c >= channels) continue;
        float sum_a = 0.f, sum_b = 0.f;
        for (int y = 0; y < blockDim.y; y++) {
            sum_a += shared[y * width + c];
            sum_b += shared[half + y * width + c];
        }
        partial[(size_t)blockIdx.x * 2 * channels + block_first + c] = sum_a;
        partial[((size_t)blockIdx.x * 2 + 1) * channels + block_first + c] = sum_b;
    }
}

// Sums (x - x[0]) and its square per channel.
template <typename T, int V> __device__ void norm_sums(const T* x, float* partial, int rows, int channels) {
    int c = (blockIdx.y * blockDim.x + threadIdx.x) * V;
    float sum[V] = {}, square[V] = {};
    if (c < channels) {
        float around[V];
        load<T, V>(x + c, around);
#pragma unroll 4
        for (int row = blockIdx.x * blockDim.y + threadIdx.y; row < rows; row += gridDim.x * blockDim.y) {
            float v[V];
            load<T, V>(x + (size_t)row * channels + c, v);
#pragma unroll
            for (int i = 0; i < V; i++) {
                float d = v[i] - around[i];
                sum[i] += d;
                square[i] += d * d;
            }
        }
    }
    block_sums<V>(sum, square, partial, channels, c);
}

// Adds the partial sums of all blocks, for 32 channels. blockDim is (32, parts).
__device__ __forceinline__ void total_sums(const float* partial, int blocks, int channels, int c, double& a, double& b) {
    __shared__ double shared[2][32][32];
    a = b = 0.;
    if (c < channels) {
        for (int block = threadIdx.y; block < blocks; block += blockDim.y) {
            a += partial[(size_t)block * 2 * channels + c];
            b += partial[((size_t)block * 2 + 1) * channels + c];
        }
    }
    shared[0][threadIdx.y][threadIdx.x] = a;
    shared[1][threadIdx.y][threadIdx.x] = b;
    __syncthreads();
    a = b = 0.;
    if (threadIdx.y == 0) {
        for (int y = 0; y < blockDim.y; y++) {
            a += shared[0][y][threadIdx.x];
            b += shared[1][y][threadIdx.x];
        }
    }
}

// Computes mean and 1/sqrt(var + eps) from partial sums. Updates the running statistics, if there
// are any, with the mean and the unbiased variance.
template <typename T>
__device__ void norm_statistics(const float* partial, int blocks, const T* x, int rows, int channels, float eps,
                                float momentum, float* mean, float* inv_std, float* running_mean, float* running_var) {
    int c = blockIdx.x * 32 + threadIdx.x;
    double sum, square;
    total_sums(partial, blocks, channels, c, sum, square);
    if (threadIdx.y != 0 || c >= channels) return;
    double around_mean = square - sum * sum / rows;
    if (around_mean < 0.) around_mean = 0.;
    double m = (double)to_float(x[c]) + sum / rows;
    mean[c] = (float)m;
    inv_std[c] = (float)(1. / sqrt(around_mean / rows + (double)eps));
    if (running_mean) {
        double unbiased = around_mean / (rows > 1 ? rows - 1. : 1.);
        running_mean[c] = (1.f - momentum) * running_mean[c] + momentum * (float)m;
        running_var[c] = (1.f - momentum) * running_var[c] + momentum * (float)unbiased;
    }
}

extern "C" __global__ void norm_running(const float* mean, const float* var, int channels, float eps, float* mean_out,
                                        float* inv_std) {
    int c = blockIdx.x * blockDim.x + threadIdx.x;
    if (c >= channels) return;
    mean_out[c] = mean[c];
    inv_std[c] = (float)(1. / sqrt((double)var[c] + (double)eps));
}

// Scale and shift of the channels of a thread. Forward and backward pass share this code, so the
// backward pass recomputes exactly the values whose signs the ReLU of the forward pass used.
template <int V> struct Affine {
    float center[V], scale[V], shift[V];
    __device__ __forceinline__ Affine(const float* mean, const float* inv_std, const float* weight, const float* bias,
                                      int c) {
#pragma unroll
        for (int i = 0; i < V; i++) {
            center[i] = mean[c + i];
            scale[i] = inv_std[c + i] * weight[c + i];
            shift[i] = bias[c + i];
        }
    }
    __device__ __forceinline__ float centred(float x, int i) const { return x - center[i]; }
    __device__ __forceinline__ float of(float centred, int i) const { return centred * scale[i] + shift[i]; }
};

// y = (x - mean) * inv_std * weight + bias, plus residual if there is one, then ReLU if `relu`.
template <typename T, int V>
__device__ void norm_apply(const T* x, const T* residual, const float* mean, const float* inv_std, const float* weight,
                           const float* bias, T* y, int rows, int channels, int relu) {
    int c = (blockIdx.y * blockDim.x + threadIdx.x) * V;
    if (c >= channels) return;
    const Affine<V> affine(mean, inv_std, weight, bias, c);
    for (int row = blockIdx.x * blockDim.y + threadIdx.y; row < rows; row += gridDim.x * blockDim.y) {
        size_t at = (size_t)row * channels + c;
        float v[V];
        load<T, V>(x + at, v);
#pragma unroll
        for (int i = 0; i < V; i++) v[i] = affine.of(affine.centred(v[i], i), i);
        if (residual) {
            float r[V];
            load<T, V>(residual + at, r);
#pragma unroll
            for (int i = 0; i < V; i++) v[i] += r[i];
        }
        if (relu) {
#pragma unroll
            for (int i = 0; i < V; i++) v[i] = rectify(v[i]);
        }
        store<T, V>(y + at, v);
    }
}

// Sums g and g * (x - mean) per channel, where g is the gradient before the ReLU.
template <typename T, int V>
__device__ void norm_grad_sums(const T* x, const T* grad, const float* mean, const float* inv_std, const float* weight,
                               const float* bias, float* partial, int rows, int channels, int relu) {
    int c = (blockIdx.y * blockDim.x + threadIdx.x) * V;
    float sum[V] = {}, product[V] = {};
    if (c < channels) {
        const Affine<V> affine(mean, inv_std, weight, bias, c);
#pragma unroll 2
        for (int row = blockIdx.x * blockDim.y + threadIdx.y; row < rows; row += gridDim.x * blockDim.y) {
            size_t at = (size_t)row * channels + c;
            float v[V], g[V];
            load<T, V>(x + at, v);
            load<T, V>(grad + at, g);
#pragma unroll
            for (int i = 0; i < V; i++) {
                float d = affine.centred(v[i], i);
                // Recomputing the sign of the output is cheaper than reading the output.
                if (relu && affine.of(d, i) <= 0.f) g[i] = 0.f;
                sum[i] += g[i];
                product[i] += g[i] * d;
            }
        }
    }
    block_sums<V>(sum, product, partial, channels, c);
}

// Computes the gradients of weight and bias from partial sums, and two means for the gradient of
// the input: mean(g) and mean(g * (x - mean)) * inv_std^2. With fixed statistics, both means are 0.
extern "C" __global__ void norm_grad_totals(const float* partial, int blocks, int rows, int channels, int fixed,
                                            const float* inv_std, float* weight_grad, float* bias_grad, float* mean_g,
                                            float* slope) {
    int c = blockIdx.x * 32 + threadIdx.x;
    double sum, product;
    total_sums(partial, blocks, channels, c, sum, product);
    if (threadIdx.y != 0 || c >= channels) return;
    double inv = inv_std[c];
    weight_grad[c] = (float)(product * inv);
    bias_grad[c] = (float)sum;
    mean_g[c] = fixed ? 0.f : (float)(sum / rows);
    slope[c] = fixed ? 0.f : (float)(product * inv * inv / rows);
}

// dx = weight * inv_std * (g - mean(g) - (x - mean) * slope)
template <typename T, int V>
__device__ void norm_grad_apply(const T* x, const T* grad, const float* mean, const float* inv_std, const float* weight,
                                const float* bias, const float* mean_g, const float* slope, T* out, int rows,
                                int channels, int relu) {
    int c = (blockIdx.y * blockDim.x + threadIdx.x) * V;
    if (c >= channels) return;
    const Affine<V> affine(mean, inv_std, weight, bias, c);
    float base[V], tilt[V];
#pragma unroll
    for (int i = 0; i < V; i++) {
        base[i] = mean_g[c + i];
        tilt[i] = slope[c + i];
    }
    for (int row = blockIdx.x * blockDim.y + threadIdx.y; row < rows; row += gridDim.x * blockDim.y) {
        size_t at = (size_t)row * channels + c;
        float v[V], g[V];
        load<T, V>(x + at, v);
        load<T, V>(grad + at, g);
#pragma unroll
        for (int i = 0; i < V; i++) {
            float d = affine.centred(v[i], i);
            if (relu && affine.of(d, i) <= 0.f) g[i] = 0.f;
            g[i] = affine.scale[i] * ((g[i] - base[i]) - d * tilt[i]);
        }
        store<T, V>(out + at, g);
    }
}

// ---- element by element; counts are in packs of V values ------------------------------------------------------------

template <typename T, int V> __device__ void relu(const T* x, T* y, int64_t packs) {
    for (int64_t i = blockIdx.x * (int64_t)blockDim.x + threadIdx.x; i < packs; i += (int64_t)gridDim.x * blockDim.x) {
        float v[V];
        load<T, V>(x + i * V, v);
#pragma unroll
        for (int k = 0; k < V; k++) v[k] = rectify(v[k]);
        store<T, V>(y + i * V, v);
    }
}

template <typename T, int V> __device__ void add_relu(const T* a, const T* b, T* y, int64_t packs) {
    for (int64_t i = blockIdx.x * (int64_t)blockDim.x + threadIdx.x; i < packs; i += (int64_t)gridDim.x * blockDim.x) {
        float v[V], w[V];
        load<T, V>(a + i * V, v);
        load<T, V>(b + i * V, w);
#pragma unroll
        for (int k = 0; k < V; k++) v[k] = rectify(v[k] + w[k]);
        store<T, V>(y + i * V, v);
    }
}

// The gradient is grad, or grad + more if `more` is not null.
template <typename T, int V>
__device__ void relu_grad(const T* y, const T* grad, const T* more, T* out, int64_t packs) {
    for (int64_t i = blockIdx.x * (int64_t)blockDim.x + threadIdx.x; i < packs; i += (int64_t)gridDim.x * blockDim.x) {
        float v[V], g[V];
        load<T, V>(y + i * V, v);
        load<T, V>(grad + i * V, g);
        if (more) {
            float m[V];
            load<T, V>(more + i * V, m);
#pragma unroll
            for (int k = 0; k < V; k++) g[k] += m[k];
        }
#pragma unroll
        for (int k = 0; k < V; k++) g[k] = v[k] <= 0.f ? 0.f : g[k];
        store<T, V>(out + i * V, g);
    }
}

// y = factor * x, where each image of `image` packs has a factor. With a shortcut: y = max(factor * x + shortcut, 0).
template <typename T, int V>
__device__ void scale_images(const T* x, const T* shortcut, const float* factors, T* y, int64_t packs, int64_t image) {
    for (int64_t i = blockIdx.x * (int64_t)blockDim.x + threadIdx.x; i < packs; i += (int64_t)gridDim.x * blockDim.x) {
        float factor = factors[i / image];
        float v[V];
        load<T, V>(x + i * V, v);
#pragma unroll
        for (int k = 0; k < V; k++) v[k] *= factor;
        if (shortcut) {
            float s[V];
            load<T, V>(shortcut + i * V, s);
#pragma unroll
            for (int k = 0; k < V; k++) v[k] = rectify(v[k] + s[k]);
        }
        store<T, V>(y + i * V, v);
    }
}

// Images are [pixels, groups] packs, and `frames` images are a clip. The first `fold` groups come
// from the image that is `step` later, the next `fold` groups from the one that is `step` earlier.
// Outside the clip, images are 0.
template <typename T, int V>
__device__ void temporal_shift(const T* x, T* y, int64_t packs, int frames, int pixels, int groups, int fold, int step) {
    int64_t image = (int64_t)pixels * groups;
    for (int64_t i = blockIdx.x * (int64_t)blockDim.x + threadIdx.x; i < packs; i += (int64_t)gridDim.x * blockDim.x) {
        int group = i % groups;
        int move = group < fold ? step : group < 2 * fold ? -step : 0;
        int frame = i / image % frames + move;
        float v[V] = {};
        if (frame >= 0 && frame < frames) load<T, V>(x + (i + move * image) * V, v);
        store<T, V>(y + i * V, v);
    }
}

// ---- pooling ---------------------------------------------------------------------------------------------------------

template <typename T, int V>
__device__ void max_pool(const T* x, T* y, uint8_t* argmax, int n, int h, int w, int c, int out_h, int out_w, int kernel,
                         int stride, int padding) {
    int groups = c / V;
    int64_t total = (int64_t)n * out_h * out_w * groups;
    for (int64_t i = blockIdx.x * (int64_t)blockDim.x + threadIdx.x; i < total; i += (int64_t)gridDim.x * blockDim.x) {
        int group = i % groups;
        int64_t pixel = i / groups;
        int ox = pixel % out_w, oy = pixel / out_w % out_h, image = pixel / out_w / out_h;
        int y0 = oy * stride - padding, x0 = ox * stride - padding;
        float best[V];
        uint8_t where[V];
        uint8_t first = max(-y0, 0) * kernel + max(-x0, 0);
#pragma unroll
        for (int k = 0; k < V; k++) best[k] = -INFINITY, where[k] = first;
        for (int dy = max(-y0, 0); dy < kernel && y0 + dy < h; dy++) {
            for (int dx = max(-x0, 0); dx < kernel && x0 + dx < w; dx++) {
                float v[V];
                load<T, V>(x + (((int64_t)image * h + y0 + dy) * w + x0 + dx) * c + group * V, v);
#pragma unroll
                for (int k = 0; k < V; k++) {
                    // With > instead of >=, the first maximum wins. A NaN replaces any number.
                    bool take = v[k] > best[k] || v[k] != v[k];
                    best[k] = take ? v[k] : best[k];
                    where[k] = take ? dy * kernel + dx : where[k];
                }
            }
        }
        store<T, V>(y + i * V, best);
        Pack<uint8_t, V> pack;
#pragma unroll
        for (int k = 0; k < V; k++) pack.v[k] = where[k];
        *reinterpret_cast<Pack<uint8_t, V>*>(argmax + i * V) = pack;
    }
}

// Each input pixel adds the gradients of the windows that cover it, in their order.
template <typename T, int V>
__device__ void max_pool_grad(const T* grad, const uint8_t* argmax, T* out, int n, int h, int w, int c, int out_h,
                              int out_w, int kernel, int stride, int padding) {
    int groups = c / V;
    int64_t total = (int64_t)n * h * w * groups;
    for (int64_t i = blockIdx.x * (int64_t)blockDim.x + threadIdx.x; i < total; i += (int64_t)gridDim.x * blockDim.x) {
        int group = i % groups;
        int64_t pixel = i / groups;
        int px = pixel % w, py = pixel / w % h, image = pixel / w / h;
        int first_y = max(py + padding - kernel + stride, 0) / stride, first_x = max(px + padding - kernel + stride, 0) / stride;
        int last_y = min((py + padding) / stride, out_h - 1), last_x = min((px + padding) / stride, out_w - 1);
        float sum[V] = {};
        for (int oy = first_y; oy <= last_y; oy++) {
            for (int ox = first_x; ox <= last_x; ox++) {
                int position = (py + padding - oy * stride) * kernel + px + padding - ox * stride;
                int64_t at = (((int64_t)image * out_h + oy) * out_w + ox) * c + group * V;
                Pack<uint8_t, V> where = *reinterpret_cast<const Pack<uint8_t, V>*>(argmax + at);
                float g[V];
                load<T, V>(grad + at, g);
#pragma unroll
                for (int k = 0; k < V; k++) sum[k] += where.v[k] == position ? g[k] : 0.f;
            }
        }
        store<T, V>(out + i * V, sum);
    }
}

// [n, pixels, c] -> mean over pixels, float [n, c].
template <typename T> __device__ void avg_pool(const T* x, float* y, int n, int pixels, int c) {
    int64_t total = (int64_t)n * c;
    for (int64_t i = blockIdx.x * (int64_t)blockDim.x + threadIdx.x; i < total; i += (int64_t)gridDim.x * blockDim.x) {
        const T* from = x + i / c * pixels * c + i % c;
        float sum = 0.f;
        for (int p = 0; p < pixels; p++) sum += to_float(from[(int64_t)p * c]);
        y[i] = sum / pixels;
    }
}

template <typename T> __device__ void avg_pool_grad(const float* grad, T* out, int n, int pixels, int c) {
    int64_t total = (int64_t)n * pixels * c;
    float scale = 1.f / pixels;
    for (int64_t i = blockIdx.x * (int64_t)blockDim.x + threadIdx.x; i < total; i += (int64_t)gridDim.x * blockDim.x) {
        out[i] = from_float<T>(grad[i / c / pixels * c + i % c] * scale);
    }
}

// ---- layouts of weights and images -----------------------------------------------------------------------------------

// OIHW float -> [O, taps, padded channels] T. The added channels are 0.
template <typename T> __device__ void pack_weights(const float* w, T* out, int o, int c, int taps, int padded) {
    int64_t total = (int64_t)o * taps * padded;
    for (int64_t i = blockIdx.x * (int64_t)blockDim.x + threadIdx.x; i < total; i += (int64_t)gridDim.x * blockDim.x) {
        int channel = i % padded;
        int64_t tap = i / padded % taps, output = i / padded / taps;
        out[i] = from_float<T>(channel < c ? w[(output * c + channel) * taps + tap] : 0.f);
    }
}

// [O, taps, padded channels] T -> OIHW float.
template <typename T> __device__ void unpack_weights(const T* packed, float* out, int o, int c, int taps, int padded) {
    int64_t total = (int64_t)o * taps * c;
    for (int64_t i = blockIdx.x * (int64_t)blockDim.x + threadIdx.x; i < total; i += (int64_t)gridDim.x * blockDim.x) {
        int64_t tap = i % taps, channel = i / taps % c, output = i / taps / c;
        out[i] = to_float(packed[(output * taps + tap) * padded + channel]);
    }
}

template <typename T> __device__ void pad_channels(const T* x, T* out, int64_t pixels, int c, int padded) {
    int64_t total = pixels * padded;
    for (int64_t i = blockIdx.x * (int64_t)blockDim.x + threadIdx.x; i < total; i += (int64_t)gridDim.x * blockDim.x) {
        int channel = i % padded;
        out[i] = channel < c ? x[i / padded * c + channel] : from_float<T>(0.f);
    }
}

template <typename T> __device__ void crop_channels(const T* x, T* out, int64_t pixels, int c, int padded) {
    int64_t total = pixels * c;
    for (int64_t i = blockIdx.x * (int64_t)blockDim.x + threadIdx.x; i < total; i += (int64_t)gridDim.x * blockDim.x) {
        out[i] = x[i / c * padded + i % c];
    }
}

// Converts images for a convolution with stride 2 to images for one with stride 1 and four times as
// many channels. The four pixels of each 2x2 square become channels ((row % 2) * 2 + column % 2) *
// c + channel, padded with zeros to `channels`. The first square has index `first` along both axes.
// Squares outside the image are 0.
//
// Blocks along y loop over rows of squares. A thread has V channels of a square; V divides `c` and
// `channels`.
template <typename T, int V>
__device__ void space_to_depth_images(const T* x, T* out, int n, int h, int w, int c, int squares_h, int squares_w,
                                      int channels, int first) {
    int groups = channels / V;
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= squares_w * groups) return;
    int channel = i % groups * V, column = i / groups;
    int quarter = channel / c;
    int px = (column + first) * 2 + (quarter & 1);
    bool inside = quarter < 4 && px >= 0 && px < w;
    for (int row = blockIdx.y; row < n * squares_h; row += gridDim.y) {
        int py = (row % squares_h + first) * 2 + (quarter >> 1);
        float v[V] = {};
        if (inside && py >= 0 && py < h) load<T, V>(x + (((int64_t)(row / squares_h) * h + py) * w + px) * c + channel % c, v);
        store<T, V>(out + ((int64_t)row * squares_w + column) * channels + channel, v);
    }
}

// Converts weights OIHW [o, c, kernel, kernel] to [o, channels, side, side] for images of squares,
// or back if `back`.
//
// Relative to the square of an output, kernel row a is image row a - padding. That row is in square
// floor((a - padding) / 2), which is row floor((a - padding) / 2) - first of the new kernel.
extern "C" __global__ void space_to_depth_weights(const float* from, float* to, int o, int c, int kernel, int padding,
                                                  int channels, int side, int first, int back) {
    int64_t total = (int64_t)o * (back ? c * kernel * kernel : channels * side * side);
    for (int64_t i = blockIdx.x * (int64_t)blockDim.x + threadIdx.x; i < total; i += (int64_t)gridDim.x * blockDim.x) {
        if (back) {
            int b = i % kernel - padding, a = i / kernel % kernel - padding;
            int64_t channel = i / kernel / kernel % c, output = i / kernel / kernel / c;
            // For negative numbers, >> 1 is the floor of the half, and & 1 is the matching
            // remainder.
            int quarter = (a & 1) * 2 + (b & 1);
            to[i] = from[((output * channels + quarter * c + channel) * side + (a >> 1) - first) * side + (b >> 1) - first];
        } else {
            int column = i % side, row = i / side % side;
            int channel = i / side / side % channels, quarter = channel / c;
            int64_t output = i / side / side / channels;
            int a = (row + first) * 2 + (quarter >> 1) + padding, b = (column + first) * 2 + (quarter & 1) + padding;
            bool inside = quarter < 4 && a >= 0 && a < kernel && b >= 0 && b < kernel;
            to[i] = inside ? from[((output * c + channel % c) * kernel + a) * kernel + b] : 0.f;
        }
    }
}

// ---- loss ------------------------------------------------------------------------------------------------------------

__device__ __forceinline__ float warp_max(float v) {
    for (int offset = 16; offset; offset /= 2) v = fmaxf(v, __shfl_xor_sync(~0u, v, offset));
    return v;
}
__device__ __forceinline__ double warp_sum(double v) {
    for (int offset = 16; offset; offset /= 2) v += __shfl_xor_sync(~0u, v, offset);
    return v;
}

// Returns log(sum(exp)) of a row of logits. A warp computes it.
__device__ __forceinline__ double log_sum_exp(const float* row, int classes, int lane) {
    float top = -INFINITY;
    for (int k = lane; k < classes; k += 32) top = fmaxf(top, row[k]);
    top = warp_max(top);
    if (!isfinite(top)) top = 0.f;
    double sum = 0.;
    for (int k = lane; k < classes; k += 32) sum += exp((double)row[k] - top);
    return top + log(warp_sum(sum));
}

// Computes the mean loss in one block. A label that is not below `classes` makes the loss NaN.
extern "C" __global__ void cross_entropy(const float* logits, const uint32_t* labels, float* loss, int n, int classes,
                                         float smoothing) {
    __shared__ double shared[32];
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
    double total = 0.;
    for (int row = warp; row < n; row += warps) {
        const float* at = logits + (size_t)row * classes;
        double lse = log_sum_exp(at, classes, lane), mean = 0.;
        for (int k = lane; k < classes; k += 32) mean += at[k];
        mean = warp_sum(mean) / classes;
        uint32_t label = labels[row];
        double on_label = label < classes ? at[label] : NAN;
        total += lse - (1. - smoothing) * on_label - smoothing * mean;
    }
    if (lane == 0) shared[warp] = total;
    __syncthreads();
    if (threadIdx.x == 0) {
        double sum = 0.;
        for (int w = 0; w < warps; w++) sum += shared[w];
        *loss = (float)(sum / n);
    }
}

// The gradient is (softmax - target) / n.
extern "C" __global__ void cross_entropy_grad(const float* logits, const uint32_t* labels, float* grad, int n,
                                              int classes, float smoothing) {
    int lane = threadIdx.x % 32;
    int row = (blockIdx.x * blockDim.x + threadIdx.x) / 32;
    if (row >= n) return;
    const float* at = logits + (size_t)row * classes;
    double lse = log_sum_exp(at, classes, lane);
    uint32_t label = labels[row];
    for (int k = lane; k < classes; k += 32) {
        double target = (k == label ? 1. - smoothing : 0.) + smoothing / classes;
        grad[(size_t)row * classes + k] = (float)((exp((double)at[k] - lse) - target) / n);
    }
}

// ---- optimiser -------------------------------------------------------------------------------------------------------

// Addresses of a variable, its momentum and its gradient, and their number of values.
struct Moved {
    float* var;
    float* momentum;
    const float* grad;
    int64_t len;
};

// As many variables as fit in the parameters of a kernel, so that no table has to be uploaded.
constexpr int MOVED = 120;
struct Table { Moved moved[MOVED]; };

// g += decay * p; m = momentum * m + g; p -= lr * (nesterov ? g + momentum * m : m). Blocks with
// the same y update the same variable.
extern "C" __global__ void sgd(const __grid_constant__ Table table, const float* rate, float momentum, float decay, int nesterov) {
    float lr = *rate;
    Moved moved = table.moved[blockIdx.y];
    for (int64_t i = blockIdx.x * (int64_t)blockDim.x + threadIdx.x; i < moved.len; i += (int64_t)gridDim.x * blockDim.x) {
        float p = moved.var[i];
        float g = moved.grad[i] + decay * p;
        if (moved.momentum) {
            float m = momentum * moved.momentum[i] + g;
            moved.momentum[i] = m;
            g = nesterov ? g + momentum * m : m;
        }
        moved.var[i] = p - lr * g;
    }
}

// ---- input -----------------------------------------------------------------------------------------------------------

// Converts u8 pixels to [n, pixels, channels]: (v / 255 - mean) / std. The input is
// [n, channels, pixels] if `planar`, otherwise [n, pixels, channels], with `step` bytes from one
// image to the next. mean and std are [period]; channel c uses entry c % period.
template <typename T>
__device__ void normalise(const uint8_t* x, T* out, const float* mean, const float* std, int period, int planar,
                          int64_t images, int64_t step, int pixels, int channels) {
    int64_t total = images * pixels;
    for (int64_t i = blockIdx.x * (int64_t)blockDim.x + threadIdx.x; i < total; i += (int64_t)gridDim.x * blockDim.x) {
        int64_t image = i / pixels, pixel = i % pixels;
        const uint8_t* from = x + image * step + (planar ? pixel : pixel * channels);
        T* to = out + i * channels;
        for (int c = 0; c < channels; c++) {
            float v = from[planar ? (int64_t)c * pixels : c];
            to[c] = from_float<T>((v / 255.f - mean[c % period]) / std[c % period]);
        }
    }
}

// ---- names: NAME_TYPE for kernels on single values, NAME_TYPE_vN for kernels on N channels at once -------------------

#define VECTORS(T, NAME, V)                                                                                              \
    extern "C" __global__ void norm_sums_##NAME##_v##V(const T* x, float* partial, int rows, int channels) {             \
        norm_sums<T, V>(x, partial, rows, channels);                                                                     \
    }                                                                                                                    \
    extern "C" __global__ void norm_apply_##NAME##_v##V(const T* x, const T* residual, const float* mean,                \
                                                        const float* inv_std, const float* weight, const float* bias,    \
                                                        T* y, int rows, int channels, int relu) {                        \
        norm_apply<T, V>(x, residual, mean, inv_std, weight, bias, y, rows, channels, relu);                             \
    }                                                                                                                    \
    extern "C" __global__ void norm_grad_sums_##NAME##_v##V(const T* x, const T* grad, const float* mean,                \
                                                            const float* inv_std, const float* weight,                   \
                                                            const float* bias, float* partial, int rows, int channels,   \
                                                            int relu) {                                                  \
        norm_grad_sums<T, V>(x, grad, mean, inv_std, weight, bias, partial, rows, channels, relu);                       \
    }                                                                                                                    \
    extern "C" __global__ void norm_grad_apply_##NAME##_v##V(                                                            \
        const T* x, const T* grad, const float* mean, const float* inv_std, const float* weight, const float* bias,      \
        const float* mean_g, const float* slope, T* out, int rows, int channels, int relu) {                             \
        norm_grad_apply<T, V>(x, grad, mean, inv_std, weight, bias, mean_g, slope, out, rows, channels, relu);           \
    }                                                                                                                    \
    extern "C" __global__ void relu_##NAME##_v##V(const T* x, T* y, int64_t packs) { relu<T, V>(x, y, packs); }          \
    extern "C" __global__ void add_relu_##NAME##_v##V(const T* a, const T* b, T* y, int64_t packs) {                     \
        add_relu<T, V>(a, b, y, packs);                                                                                  \
    }                                                                                                                    \
    extern "C" __global__ void relu_grad_##NAME##_v##V(const T* y, const T* grad, const T* more, T* out, int64_t packs) { \
        relu_grad<T, V>(y, grad, more, out, packs);                                                                      \
    }                                                                                                                    \
    extern "C" __global__ void scale_images_##NAME##_v##V(const T* x, const T* shortcut, const float* factors, T* y,     \
                                                          int64_t packs, int64_t image) {                                \
        scale_images<T, V>(x, shortcut, factors, y, packs, image);                                                       \
    }                                                                                                                    \
    extern "C" __global__ void temporal_shift_##NAME##_v##V(const T* x, T* y, int64_t packs, int frames, int pixels,     \
                                                            int groups, int fold, int step) {                            \
        temporal_shift<T, V>(x, y, packs, frames, pixels, groups, fold, step);                                           \
    }                                                                                                                    \
    extern "C" __global__ void max_pool_##NAME##_v##V(const T* x, T* y, uint8_t* argmax, int n, int h, int w, int c,     \
                                                      int out_h, int out_w, int kernel, int stride, int padding) {       \
        max_pool<T, V>(x, y, argmax, n, h, w, c, out_h, out_w, kernel, stride, padding);                                 \
    }                                                                                                                    \
    extern "C" __global__ void max_pool_grad_##NAME##_v##V(const T* grad, const uint8_t* argmax, T* out, int n, int h,   \
                                                           int w, int c, int out_h, int out_w, int kernel, int stride,   \
                                                           int padding) {                                                \
        max_pool_grad<T, V>(grad, argmax, out, n, h, w, c, out_h, out_w, kernel, stride, padding);                       \
    }

#define SINGLES(T, NAME)                                                                                                 \
    extern "C" __global__ void norm_statistics_##NAME(const float* partial, int blocks, const T* x, int rows,            \
                                                      int channels, float eps, float momentum, float* mean,              \
                                                      float* inv_std, float* running_mean, float* running_var) {         \
        norm_statistics<T>(partial, blocks, x, rows, channels, eps, momentum, mean, inv_std, running_mean, running_var); \
    }                                                                                                                    \
    extern "C" __global__ void avg_pool_##NAME(const T* x, float* y, int n, int pixels, int c) {                         \
        avg_pool<T>(x, y, n, pixels, c);                                                                                 \
    }                                                                                                                    \
    extern "C" __global__ void avg_pool_grad_##NAME(const float* grad, T* out, int n, int pixels, int c) {               \
        avg_pool_grad<T>(grad, out, n, pixels, c);                                                                       \
    }                                                                                                                    \
    extern "C" __global__ void pack_weights_##NAME(const float* w, T* out, int o, int c, int taps, int padded) {         \
        pack_weights<T>(w, out, o, c, taps, padded);                                                                     \
    }                                                                                                                    \
    extern "C" __global__ void unpack_weights_##NAME(const T* packed, float* out, int o, int c, int taps, int padded) {  \
        unpack_weights<T>(packed, out, o, c, taps, padded);                                                              \
    }                                                                                                                    \
    extern "C" __global__ void pad_channels_##NAME(const T* x, T* out, int64_t pixels, int c, int padded) {              \
        pad_channels<T>(x, out, pixels, c, padded);                                                                      \
    }                                                                                                                    \
    extern "C" __global__ void crop_channels_##NAME(const T* x, T* out, int64_t pixels, int c, int padded) {             \
        crop_channels<T>(x, out, pixels, c, padded);                                                                     \
    }                                                                                                                    \
    extern "C" __global__ void normalise_##NAME(const uint8_t* x, T* out, const float* mean, const float* std,           \
                                                int period, int planar, int64_t images, int64_t step, int pixels,        \
                                                int channels) {                                                          \
        normalise<T>(x, out, mean, std, period, planar, images, step, pixels, channels);                                 \
    }

VECTORS(float, f32, 4)
VECTORS(float, f32, 1)
VECTORS(bf16, bf16, 8)
VECTORS(bf16, bf16, 1)
SINGLES(float, f32)
SINGLES(bf16, bf16)

#define SPACE_TO_DEPTH(T, NAME, V)                                                                                       \
    extern "C" __global__ void space_to_depth_images_##NAME##_v##V(const T* x, T* out, int n, int h, int w, int c,       \
                                                                   int squares_h, int squares_w, int channels, int first) {\
        space_to_depth_images<T, V>(x, out, n, h, w, c, squares_h, squares_w, channels, first);                          \
    }

SPACE_TO_DEPTH(float, f32, 4)
SPACE_TO_DEPTH(float, f32, 1)
SPACE_TO_DEPTH(bf16, bf16, 4)
SPACE_TO_DEPTH(bf16, bf16, 1)
