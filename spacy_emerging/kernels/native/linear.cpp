// Products of many rows with a small matrix, as linear layers need them: y = x W^T + bias, and the way back.
//
// One factor is laid out in panels, as many columns as a strip of results has, so that the innermost loop reads it from end to end.
#include "product.h"

template <class Real>
constexpr long PANEL = 2 * LANES<Real>;  // columns
constexpr long ROWS = 16 * STRIP;        // rows of x that go through all panels before the next ones
constexpr long DEPTH = 256;              // tokens that the gradient of W sums up at a time

// One row of a panel, of which `width` numbers are there.
template <class Real>
INLINE void copy_row(const Real* from, Real* to, long width) {
    if (width == PANEL<Real>) {
        store(to, load(from, Whole{}), Whole{});
        store(to + LANES<Real>, load(from + LANES<Real>, Whole{}), Whole{});
    } else {
        for (long i = 0; i < width; i++) to[i] = from[i];
    }
}

// (depth, columns) to panels: those of each PANEL columns one after the other, `depth` long; zeros where columns end.
template <class Real>
static void to_panels(long depth, long columns, const Real* from, long from_row, Real* to) {
    for (long j = 0; j < columns; j += PANEL<Real>) {
        Real* panel = to + j * depth;
        const long width = columns - j < PANEL<Real> ? columns - j : PANEL<Real>;
        for (long k = 0; k < depth; k++) copy_row(from + k * from_row + j, panel + k * PANEL<Real>, width);
    }
}

// The same of the transpose of (columns, depth).
template <class Real>
static void transposed_to_panels(long depth, long columns, const Real* from, Real* to) {
    for (long j = 0; j < columns; j += PANEL<Real>) {
        const long width = columns - j < PANEL<Real> ? columns - j : PANEL<Real>;
        transpose((int)width, (int)depth, from + j * depth, depth, to + j * depth, PANEL<Real>);
    }
}

// (rows, depth) x panels to (rows, columns), plus a bias if there is one.
template <class Real>
static void rows_by_panels(
    long rows, long columns, long depth, const Real* x, long x_row, const Real* panels, const Real* bias, Real* y, long threads) {
    const long blocks = (rows + ROWS - 1) / ROWS;
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (long block = 0; block < blocks; block++) {
        const long first = block * ROWS, count = rows - first < ROWS ? rows - first : ROWS;
        for (long j = 0; j < columns; j += PANEL<Real>) {
            const int width = (int)(columns - j < PANEL<Real> ? columns - j : PANEL<Real>);
            const Real *from = x + first * x_row, *panel = panels + j * depth;
            Real* to = y + first * columns + j;
            if (bias) {
                for (long i = 0; i < count; i++) copy_row(bias + j, to + i * columns, width);
                product<true>((int)count, width, (int)depth, from, x_row, 1, panel, PANEL<Real>, to, columns);
            } else {
                product<false>((int)count, width, (int)depth, from, x_row, 1, panel, PANEL<Real>, to, columns);
            }
        }
    }
}

template <class Real>
static void add_rows(long rows, long width, const Real* from, long from_row, Real* sum) {
    for (long t = 0; t < rows; t++)
        each_vector<Real>(width, [&](long c, auto part) { store(sum + c, load(sum + c, part) + load(from + t * from_row + c, part), part); });
}

// left^T right, (tokens, rows) and (tokens, columns) to (rows, columns), and the sums of their columns where wanted; a range of columns.
template <class Real>
static void outer(
    long tokens, long rows, long columns, const Real* left, long left_row, const Real* right, long right_row, Real* found, long found_row,
    Real* left_sum, Real* right_sum) {
    const long strips = (rows + STRIP - 1) / STRIP * STRIP, panels = (columns + PANEL<Real> - 1) / PANEL<Real> * PANEL<Real>;
    Scratch<Real> scratch(DEPTH * (strips + panels) + STRIP);
    Real *a = scratch.take(DEPTH * strips + STRIP), *b = scratch.take(DEPTH * panels);
    for (long i = 0; i < rows; i++) memset(found + i * found_row, 0, columns * sizeof(Real));
    if (left_sum) memset(left_sum, 0, rows * sizeof(Real));
    if (right_sum) memset(right_sum, 0, columns * sizeof(Real));
    for (long t = 0; t < tokens; t += DEPTH) {
        const long depth = tokens - t < DEPTH ? tokens - t : DEPTH;
        const Real *left_t = left + t * left_row, *right_t = right + t * right_row;
        to_panels(depth, columns, right_t, right_row, b);
        for (long i = 0; i < rows; i += STRIP) {
            const long count = rows - i < STRIP ? rows - i : STRIP;
            Real* strip = a + i * depth;
            if (count == STRIP)
                for (long k = 0; k < depth; k++) memcpy(strip + k * STRIP, left_t + k * left_row + i, STRIP * sizeof(Real));
            else
                for (long k = 0; k < depth; k++) memcpy(strip + k * STRIP, left_t + k * left_row + i, count * sizeof(Real));
        }
        if (left_sum) add_rows(depth, rows, left_t, left_row, left_sum);
        if (right_sum) add_rows(depth, columns, right_t, right_row, right_sum);
        for (long j = 0; j < columns; j += PANEL<Real>) {
            const int width = (int)(columns - j < PANEL<Real> ? columns - j : PANEL<Real>);
            for (long i = 0; i < rows; i += STRIP) {
                const int count = (int)(rows - i < STRIP ? rows - i : STRIP);
                product<true>(count, width, (int)depth, a + i * depth, 1, STRIP, b + j * depth, PANEL<Real>, found + i * found_row + j, found_row);
            }
        }
    }
}

// Each thread has a range of the columns.
template <class Real>
static void outer_in_parts(
    long tokens, long rows, long columns, const Real* left, long left_row, const Real* right, long right_row, Real* found, Real* left_sum,
    Real* right_sum, long threads) {
    const long share = ((columns + threads - 1) / threads + PANEL<Real> - 1) / PANEL<Real> * PANEL<Real>;
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (long number = 0; number < threads; number++) {
        const long first = number * share, count = columns - first < share ? columns - first : share;
        if (count > 0 || !number)
            outer(
                tokens, rows, count, left, left_row, right + first, right_row, found + first, columns, number ? nullptr : left_sum,
                right_sum ? right_sum + first : nullptr);
    }
}

// x: (tokens, in) in rows so far apart. weight: (out, in). y, grad: (tokens, out).
#define LINEAR(Real, suffix)                                                                                                        \
    EXPORT void linear_forward_##suffix(                                                                                             \
        const Real* x, const Real* weight, const Real* bias, Real* y, long x_row, long tokens, long in, long out, long threads) {    \
        Scratch<Real> panels((out + PANEL<Real>)*in);                                                                                \
        Real* packed = panels.take(0);                                                                                               \
        transposed_to_panels(in, out, weight, packed);                                                                               \
        rows_by_panels(tokens, out, in, x, x_row, packed, bias, y, threads);                                                         \
    }                                                                                                                                \
    EXPORT void linear_back_##suffix(const Real* grad, const Real* weight, Real* dx, long tokens, long in, long out, long threads) { \
        Scratch<Real> panels((in + PANEL<Real>)*out);                                                                                \
        Real* packed = panels.take(0);                                                                                               \
        to_panels(out, in, weight, in, packed);                                                                                      \
        rows_by_panels<Real>(tokens, in, out, grad, out, packed, nullptr, dx, threads);                                              \
    }                                                                                                                                \
    EXPORT void linear_outer_##suffix(                                                                                               \
        const Real* left, const Real* right, Real* found, Real* left_sum, Real* right_sum, long left_row, long right_row,            \
        long tokens, long rows, long columns, long threads) {                                                                        \
        outer_in_parts(tokens, rows, columns, left, left_row, right, right_row, found, left_sum, right_sum, threads);                \
    }
LINEAR(float, f32)
LINEAR(double, f64)
