// Two linear layers with GELU between them, and perhaps a norm before and the residual after them, a block of rows at a time, so that what lies
// between them stays in the cache.
#include "gelu.h"
#include "norm.h"
#include "panels.h"

namespace {

constexpr long BLOCK = 2 * ROWS;  // rows that the backward pass works on

template <class Real>
struct FeedForward {
    long rows, width, inner;
    const Real* x;              // (rows, width) in rows of
    long x_row;
    const Real* norm_weight;    // (width), or none
    const Real *up, *up_bias;   // (inner, width), (inner)
    const Real *down, *down_bias;  // (width, inner), (width)
    bool residual;                 // whether x is added
    Real epsilon;

    // What enters the first layer of so many rows, in rows of `entered_row`; `room` is for what is normed.
    const Real* enters(long first, long count, Real* room, Real* scales) const {
        if (!norm_weight) return x + first * x_row;
        for (long t = 0; t < count; t++)
            scales[t] =
                norm::forward<norm::NONE>(x + (first + t) * x_row, (const Real*)nullptr, norm_weight, room + t * width, width, epsilon);
        return room;
    }
    long entered_row() const { return norm_weight ? width : x_row; }
};

// hidden: (rows, inner), what goes into GELU, written for the backward pass; or none.
template <class Real>
static void forward(const FeedForward<Real>& f, Real* hidden, Real* y, long y_row, long threads) {
    Scratch<Real> weights(panel_numbers<Real>(f.width, f.inner) + panel_numbers<Real>(f.inner, f.width));
    Real *up = weights.take(panel_numbers<Real>(f.width, f.inner)), *down = weights.take(0);
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
        Scratch<Real> scratch(ROWS * (2 * f.inner + f.width + 1));
        Real *opened = scratch.take(ROWS * f.inner), *own = scratch.take(ROWS * f.inner), *normed = scratch.take(ROWS * f.width);
        Real* scales = scratch.take(ROWS);
#pragma omp for schedule(static)
        for (long number = 0; number < threads; number++) {
            share_of_panels(true, f.width, f.inner, f.up, up, threads, number);
            share_of_panels(true, f.inner, f.width, f.down, down, threads, number);
        }
#pragma omp for schedule(static)
        for (long number = 0; number < threads; number++)
            each_block(f.rows, ROWS, threads, number, [&](long first, long count) {
                Real *inside = hidden ? hidden + first * f.inner : own, *to = y + first * y_row;
                const Real* entered = f.enters(first, count, normed, scales);
                rows_by_panels(count, f.inner, f.width, entered, f.entered_row(), up, f.up_bias, inside, f.inner);
                each_vector<Real>(count * f.inner, [&](long i, auto part) { store(opened + i, gelu<Real>(load(inside + i, part)), part); });
                rows_by_panels(count, f.width, f.inner, opened, f.inner, down, f.down_bias, to, y_row);
                for (long t = 0; t < count && f.residual; t++) add_rows(1, f.width, f.x + (first + t) * f.x_row, 0, to + t * y_row);
            });
    }
}

// dx: (rows, width), up (inner, width), down (width, inner): written. partial: (threads, width, inner), and others of down for all threads but
// one; working memory. Of all others one for each thread, written.
template <class Real>
struct Gradients {
    Real* dx;
    long dx_row;
    Real *norm_weight, *up, *up_bias, *down, *down_bias, *partial;
};

// The gradient of rows from that of what enters the first layer, which is found in `d`, and that of all, dy.
template <class Real>
static void leave(
    const FeedForward<Real>& f, long first, long count, Real* d, const Real* scales, const Real* dy, long dy_row,
    const norm::Space<Real>& space, Real* dx, long dx_row) {
    for (long t = 0; t < count; t++, d += f.width) {
        if (f.norm_weight)
            norm::backward<norm::NONE>(
                f.x + (first + t) * f.x_row, (const Real*)nullptr, f.norm_weight, scales[t], d, d, (Real*)nullptr, space, f.width);
        if (f.residual) add_rows(1, f.width, dy + t * dy_row, 0, d);
        memcpy(dx + (first + t) * dx_row, d, f.width * sizeof(Real));
    }
}

template <class Real>
static void backward(
    const FeedForward<Real>& f, const Real* hidden, const Real* grad, long grad_row, const Gradients<Real>& g, long threads) {
    const long size = f.width * f.inner;
    Scratch<Real> weights(panel_numbers<Real>(f.width, f.inner) + panel_numbers<Real>(f.inner, f.width));
    Real *down = weights.take(panel_numbers<Real>(f.width, f.inner)), *up = weights.take(0);
    Real* of_down = g.partial + threads * size;
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
#pragma omp for schedule(static)
        for (long number = 0; number < threads; number++) {
            share_of_panels(false, f.width, f.inner, f.down, down, threads, number);
            share_of_panels(false, f.inner, f.width, f.up, up, threads, number);
        }
#pragma omp for schedule(static)
        for (long number = 0; number < threads; number++) {
            Scratch<Real> scratch(BLOCK * (2 * f.inner + 2 * f.width + 1));
            Real *opened = scratch.take(BLOCK * f.inner), *inside = scratch.take(BLOCK * f.inner), *normed = scratch.take(BLOCK * f.width);
            Real *d_entered = scratch.take(BLOCK * f.width), *scales = scratch.take(BLOCK);
            Outer<Real> space(BLOCK, f.width);
            norm::Space<Real> of_norm(f.width, g.norm_weight + number * f.width);
            Real* d_up = cleared(g.partial, size, number);
            Real* d_down = number ? cleared(of_down, size, number - 1) : cleared(g.down, size, 0);
            Real *d_up_bias = cleared(g.up_bias, f.inner, number), *d_down_bias = cleared(g.down_bias, f.width, number);
            each_block(f.rows, BLOCK, threads, number, [&](long first, long count) {
                const Real *dy = grad + first * grad_row, *entered = f.enters(first, count, normed, scales), *before = hidden + first * f.inner;
                rows_by_panels<Real>(count, f.inner, f.width, dy, grad_row, down, nullptr, inside, f.inner);
                each_vector<Real>(count * f.inner, [&](long i, auto part) {
                    Vector<Real> value = load(before + i, part), below = share_below<Real>(value);
                    store(opened + i, value * below, part);
                    store(inside + i, load(inside + i, part) * (below + gelu_density<Real>(value)), part);
                });
                add_outer<Real>(space, count, f.width, f.inner, dy, grad_row, opened, f.inner, d_down, f.inner);
                add_outer<Real>(space, count, f.width, f.inner, entered, f.entered_row(), inside, f.inner, d_up, f.inner);
                add_rows(count, f.inner, inside, f.inner, d_up_bias);
                add_rows(count, f.width, dy, grad_row, d_down_bias);
                rows_by_panels<Real>(count, f.width, f.inner, inside, f.inner, up, nullptr, d_entered, f.width);
                leave(f, first, count, d_entered, scales, dy, grad_row, of_norm, g.dx, g.dx_row);
            });
        }
#pragma omp for schedule(static)
        for (long number = 0; number < threads; number++) {
            turned_sum(f.width, f.inner, g.partial, g.up, threads, number);
            add_others(f.width, f.inner, g.down, of_down, threads, number);
        }
    }
}

}  // namespace

#define FEED_FORWARD(Real, suffix)                                                                                                     \
    EXPORT void feed_forward_forward_##suffix(                                                                                         \
        const Real* x, const Real* norm_weight, const Real* up, const Real* up_bias, const Real* down, const Real* down_bias,          \
        Real* hidden, Real* y, long x_row, long y_row, long rows, long width, long inner, long residual, double epsilon,               \
        long threads) {                                                                                                                \
        FeedForward<Real> f{rows, width, inner, x, x_row, norm_weight, up, up_bias, down, down_bias, residual != 0, (Real)epsilon};           \
        forward(f, hidden, y, y_row, threads);                                                                                         \
    }                                                                                                                                  \
    EXPORT void feed_forward_backward_##suffix(                                                                                        \
        const Real* x, const Real* norm_weight, const Real* up, const Real* down, const Real* hidden, const Real* grad, Real* dx,      \
        Real* d_norm_weight, Real* d_up, Real* d_up_bias, Real* d_down, Real* d_down_bias, Real* partial, long x_row, long grad_row,    \
        long dx_row, long rows, long width, long inner, long residual, double epsilon, long threads) {                                 \
        FeedForward<Real> f{rows, width, inner, x, x_row, norm_weight, up, nullptr, down, nullptr, residual != 0, (Real)epsilon};             \
        backward(f, hidden, grad, grad_row, {dx, dx_row, d_norm_weight, d_up, d_up_bias, d_down, d_down_bias, partial}, threads);                        \
    }
FEED_FORWARD(float, f32)
FEED_FORWARD(double, f64)
