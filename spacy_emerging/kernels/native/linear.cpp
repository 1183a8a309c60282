// Linear layers, y = x W^T + bias, and the way back.
#include "panels.h"

namespace {

// Rows (depth) times a matrix (depth, columns), or the transpose of one (columns, depth), plus a bias, or plus what is there already.
template <class Real>
static void in_blocks(
    long rows, long columns, long depth, const Real* x, long x_row, const Real* matrix, bool transposed, const Real* bias, Real* y, long y_row,
    bool add, long threads) {
    Scratch<Real> scratch(panel_numbers<Real>(depth, columns));
    Real* panels = scratch.take(0);
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
#pragma omp for schedule(static)
        for (long number = 0; number < threads; number++)
            share_of_panels(transposed, depth, columns, matrix, panels, threads, number);
#pragma omp for schedule(static)
        for (long number = 0; number < threads; number++)
            each_block(rows, ROWS, threads, number, [&](long first, long count) {
                rows_by_panels(count, columns, depth, x + first * x_row, x_row, panels, bias, y + first * y_row, y_row, add);
            });
    }
}

// left^T right, (tokens, rows) and (tokens, columns), or the transpose of it, and the sums of their columns where wanted. Each thread has a
// range of columns.
template <class Real>
static void outer(
    long tokens, long rows, long columns, const Real* left, long left_row, const Real* right, long right_row, bool transposed, Real* found,
    Real* left_sum, Real* right_sum, long threads) {
    const long share = ((columns + threads - 1) / threads + PANEL<Real> - 1) / PANEL<Real> * PANEL<Real>;
    if (!transposed) memset(found, 0, rows * columns * sizeof(Real));
    if (left_sum) memset(left_sum, 0, rows * sizeof(Real));
    if (right_sum) memset(right_sum, 0, columns * sizeof(Real));
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (long number = 0; number < threads; number++) {
        const long first = number * share, count = columns - first < share ? columns - first : share;
        if (count <= 0) continue;
        Outer<Real> space(DEPTH, rows);
        Scratch<Real> scratch(transposed ? rows * count : 0);
        Real* own = transposed ? scratch.take(0) : found + first;
        const long own_row = transposed ? count : columns;
        for (long t = 0; t < tokens; t += DEPTH) {
            const long depth = tokens - t < DEPTH ? tokens - t : DEPTH;
            const Real *left_t = left + t * left_row, *right_t = right + t * right_row + first;
            add_outer(space, depth, rows, count, left_t, left_row, right_t, right_row, own, own_row);
            if (left_sum && !number) add_rows(depth, rows, left_t, left_row, left_sum);
            if (right_sum) add_rows(depth, count, right_t, right_row, right_sum + first);
        }
        if (transposed) transpose((int)rows, (int)count, own, count, found + first * rows, rows);
    }
}

}  // namespace

// x: (tokens, in), y, grad: (tokens, out), in rows so far apart. weight: (out, in). dx: (tokens, in).
#define LINEAR(Real, suffix)                                                                                                         \
    EXPORT void linear_forward_##suffix(                                                                                             \
        const Real* x, const Real* weight, const Real* bias, Real* y, long x_row, long y_row, long tokens, long in, long out,        \
        long threads) {                                                                                                              \
        in_blocks(tokens, out, in, x, x_row, weight, true, bias, y, y_row, false, threads);                                          \
    }                                                                                                                                \
    EXPORT void linear_back_##suffix(                                                                                                \
        const Real* grad, const Real* weight, Real* dx, long grad_row, long tokens, long in, long out, long add, long threads) {     \
        in_blocks<Real>(tokens, in, out, grad, grad_row, weight, false, nullptr, dx, in, add, threads);                              \
    }                                                                                                                                \
    EXPORT void linear_outer_##suffix(                                                                                               \
        const Real* left, const Real* right, Real* found, Real* left_sum, Real* right_sum, long left_row, long right_row,            \
        long tokens, long rows, long columns, long transposed, long threads) {                                                       \
        outer(tokens, rows, columns, left, left_row, right, right_row, transposed, found, left_sum, right_sum, threads);             \
    }
LINEAR(float, f32)
LINEAR(double, f64)
