// Root-mean-square normalisation of rows, plain or with a gate before or after it.
#include "simd.h"

namespace {

enum Gate { NONE, BEFORE, AFTER };  // rms(x) w; rms(x silu(z)) w; rms(x) w silu(z)

template <int GATE, class Real>
static void forward(
    const Real* x, const Real* z, const Real* weight, Real* y, Real* scales, long x_row, long z_row, long rows, long width, Real epsilon,
    long threads) {
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (long t = 0; t < rows; t++) {
        const Real *x_t = x + t * x_row, *z_t = z + t * z_row;
        Real* y_t = y + t * width;
        Vector<Real> squares{};
        each_vector<Real>(width, [&](long c, auto part) {
            Vector<Real> value = load(x_t + c, part);
            if (GATE == BEFORE) {
                Vector<Real> gate = load(z_t + c, part);
                value *= gate * sigmoid(gate);
                store(y_t + c, value, part);
            }
            squares += value * value;
        });
        Real scale = 1 / root(sum_of<Real>(squares) / width + epsilon);
        scales[t] = scale;
        each_vector<Real>(width, [&](long c, auto part) {
            Vector<Real> value = GATE == BEFORE ? load(y_t + c, part) : load(x_t + c, part);
            value *= scale * load(weight + c, part);
            if (GATE == AFTER) {
                Vector<Real> gate = load(z_t + c, part);
                value *= gate * sigmoid(gate);
            }
            store(y_t + c, value, part);
        });
    }
}

// dx: (T, D), dz: (T, D) in rows of z_row, both written. d_weight: (parts, D), a row per thread, written.
template <int GATE, class Real>
static void backward(
    const Real* x, const Real* z, const Real* weight, const Real* scales, const Real* grad, Real* dx, Real* dz, Real* d_weight,
    long x_row, long z_row, long dz_row, long rows, long width, long threads) {
    long share = (rows + threads - 1) / threads;
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (long part_number = 0; part_number < threads; part_number++) {
        Scratch<Real> scratch(3 * width);
        Real *normed = scratch.take(width), *pulled = scratch.take(width), *opened = scratch.take(width);
        Real* d_own = d_weight + part_number * width;
        memset(d_own, 0, width * sizeof(Real));
        long end = (part_number + 1) * share < rows ? (part_number + 1) * share : rows;
        for (long t = part_number * share; t < end; t++) {
            const Real *x_t = x + t * x_row, *z_t = z + t * z_row, *grad_t = grad + t * width;
            Real scale = scales[t];
            Vector<Real> products{};
            each_vector<Real>(width, [&](long c, auto part) {
                Vector<Real> value = load(x_t + c, part), g = load(grad_t + c, part), w = load(weight + c, part);
                if (GATE == BEFORE) {
                    Vector<Real> gate = load(z_t + c, part), open = sigmoid(gate);
                    value *= gate * open;
                    store(opened + c, open, part);
                }
                if (GATE == AFTER) {
                    Vector<Real> gate = load(z_t + c, part), open = sigmoid(gate);
                    store(dz + t * dz_row + c, g * value * w * scale * open * (1 + gate * (1 - open)), part);
                    g *= gate * open;
                }
                store(d_own + c, load(d_own + c, part) + g * value * scale, part);
                g *= w;
                products += g * value;
                store(normed + c, value, part);
                store(pulled + c, g, part);
            });
            Real pull = sum_of<Real>(products) * scale * scale / width;
            each_vector<Real>(width, [&](long c, auto part) {
                Vector<Real> d = scale * (load(pulled + c, part) - pull * load(normed + c, part));
                if (GATE == BEFORE) {
                    Vector<Real> gate = load(z_t + c, part), open = load(opened + c, part);
                    store(dz + t * dz_row + c, d * load(x_t + c, part) * open * (1 + gate * (1 - open)), part);
                    d *= gate * open;
                }
                store(dx + t * width + c, d, part);
            });
        }
    }
}

}  // namespace

#define NORM(Real, suffix)                                                                                                         \
    EXPORT void norm_forward_##suffix(                                                                                              \
        const Real* x, const Real* z, const Real* weight, Real* y, Real* scales, long gate, long x_row, long z_row, long rows,      \
        long width, double epsilon, long threads) {                                                                                 \
        auto run = gate == NONE ? forward<NONE, Real> : gate == BEFORE ? forward<BEFORE, Real> : forward<AFTER, Real>;              \
        run(x, z, weight, y, scales, x_row, z_row, rows, width, (Real)epsilon, threads);                                            \
    }                                                                                                                               \
    EXPORT void norm_backward_##suffix(                                                                                             \
        const Real* x, const Real* z, const Real* weight, const Real* scales, const Real* grad, Real* dx, Real* dz, Real* d_weight, \
        long gate, long x_row, long z_row, long dz_row, long rows, long width, long threads) {                                      \
        auto run = gate == NONE ? backward<NONE, Real> : gate == BEFORE ? backward<BEFORE, Real> : backward<AFTER, Real>;           \
        run(x, z, weight, scales, grad, dx, dz, d_weight, x_row, z_row, dz_row, rows, width, threads);                              \
    }
NORM(float, f32)
NORM(double, f64)
