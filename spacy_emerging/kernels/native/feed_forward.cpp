// Two linear layers with GELU between them, a block of rows at a time, so that what lies between them stays in the cache.
#include "gelu.h"
#include "panels.h"

namespace {

constexpr long BLOCK = 2 * ROWS;  // rows that the backward pass works on

template <class Real>
struct FeedForward {
    long rows, width, inner;
    const Real* x;              // (rows, width)
    const Real *up, *up_bias;   // (inner, width), (inner)
    const Real *down, *down_bias;  // (width, inner), (width)
};

// hidden: (rows, inner), what goes into GELU, written for the backward pass; or none.
template <class Real>
static void forward(const FeedForward<Real>& f, Real* hidden, Real* y, long threads) {
    Scratch<Real> weights(panel_numbers<Real>(f.width, f.inner) + panel_numbers<Real>(f.inner, f.width));
    Real *up = weights.take(panel_numbers<Real>(f.width, f.inner)), *down = weights.take(0);
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
        Scratch<Real> scratch(2 * ROWS * f.inner);
        Real *opened = scratch.take(ROWS * f.inner), *own = scratch.take(ROWS * f.inner);
#pragma omp for schedule(static)
        for (long number = 0; number < threads; number++) {
            share_of_panels(true, f.width, f.inner, f.up, up, threads, number);
            share_of_panels(true, f.inner, f.width, f.down, down, threads, number);
        }
#pragma omp for schedule(static)
        for (long number = 0; number < threads; number++)
            each_block(f.rows, ROWS, threads, number, [&](long first, long count) {
                Real* inside = hidden ? hidden + first * f.inner : own;
                rows_by_panels(count, f.inner, f.width, f.x + first * f.width, f.width, up, f.up_bias, inside, f.inner);
                each_vector<Real>(count * f.inner, [&](long i, auto part) { store(opened + i, gelu<Real>(load(inside + i, part)), part); });
                rows_by_panels(count, f.width, f.inner, opened, f.inner, down, f.down_bias, y + first * f.width, f.width);
            });
    }
}

// Of weights a set for each thread, all written. d_up: (width, inner), the other way round than up.
template <class Real>
struct Gradients {
    Real *dx, *d_up, *d_up_bias, *d_down, *d_down_bias;
};

template <class Real>
static void backward(const FeedForward<Real>& f, const Real* hidden, const Real* grad, const Gradients<Real>& g, long threads) {
    const long size = f.width * f.inner;
    Scratch<Real> weights(panel_numbers<Real>(f.width, f.inner) + panel_numbers<Real>(f.inner, f.width));
    Real *down = weights.take(panel_numbers<Real>(f.width, f.inner)), *up = weights.take(0);
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
#pragma omp for schedule(static)
        for (long number = 0; number < threads; number++) {
            share_of_panels(false, f.width, f.inner, f.down, down, threads, number);
            share_of_panels(false, f.inner, f.width, f.up, up, threads, number);
        }
#pragma omp for schedule(static)
        for (long number = 0; number < threads; number++) {
            Scratch<Real> scratch(2 * BLOCK * f.inner);
            Real *opened = scratch.take(BLOCK * f.inner), *inside = scratch.take(BLOCK * f.inner);
            Outer<Real> space(BLOCK, f.width);
            Real *d_up = g.d_up + number * size, *d_down = g.d_down + number * size;
            Real *d_up_bias = g.d_up_bias + number * f.inner, *d_down_bias = g.d_down_bias + number * f.width;
            memset(d_up, 0, size * sizeof(Real));
            memset(d_down, 0, size * sizeof(Real));
            memset(d_up_bias, 0, f.inner * sizeof(Real));
            memset(d_down_bias, 0, f.width * sizeof(Real));
            each_block(f.rows, BLOCK, threads, number, [&](long first, long count) {
                const Real *dy = grad + first * f.width, *x = f.x + first * f.width, *before = hidden + first * f.inner;
                rows_by_panels<Real>(count, f.inner, f.width, dy, f.width, down, nullptr, inside, f.inner);
                each_vector<Real>(count * f.inner, [&](long i, auto part) {
                    Vector<Real> value = load(before + i, part), below = share_below<Real>(value);
                    store(opened + i, value * below, part);
                    store(inside + i, load(inside + i, part) * (below + gelu_density<Real>(value)), part);
                });
                add_outer<Real>(space, count, f.width, f.inner, dy, f.width, opened, f.inner, d_down, f.inner);
                add_outer<Real>(space, count, f.width, f.inner, x, f.width, inside, f.inner, d_up, f.inner);
                add_rows(count, f.inner, inside, f.inner, d_up_bias);
                add_rows(count, f.width, dy, f.width, d_down_bias);
                rows_by_panels<Real>(count, f.width, f.inner, inside, f.inner, up, nullptr, g.dx + first * f.width, f.width);
            });
        }
    }
}

}  // namespace

#define FEED_FORWARD(Real, suffix)                                                                                                     \
    EXPORT void feed_forward_forward_##suffix(                                                                                         \
        const Real* x, const Real* up, const Real* up_bias, const Real* down, const Real* down_bias, Real* hidden, Real* y, long rows, \
        long width, long inner, long threads) {                                                                                        \
        forward(FeedForward<Real>{rows, width, inner, x, up, up_bias, down, down_bias}, hidden, y, threads);                           \
    }                                                                                                                                  \
    EXPORT void feed_forward_backward_##suffix(                                                                                        \
        const Real* x, const Real* up, const Real* down, const Real* hidden, const Real* grad, Real* dx, Real* d_up, Real* d_up_bias,  \
        Real* d_down, Real* d_down_bias, long rows, long width, long inner, long threads) {                                            \
        FeedForward<Real> f{rows, width, inner, x, up, nullptr, down, nullptr};                                                        \
        backward(f, hidden, grad, Gradients<Real>{dx, d_up, d_up_bias, d_down, d_down_bias}, threads);                                 \
    }
FEED_FORWARD(float, f32)
FEED_FORWARD(double, f64)
