// Products of many rows with a small matrix, which is laid out in panels, as many columns as a strip of results has: the innermost loop
// then reads it from end to end.
#pragma once

#include "product.h"

template <class Real>
constexpr long PANEL = 2 * LANES<Real>;  // columns
constexpr long ROWS = 16 * STRIP;        // rows that go through all panels before the next ones

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

template <class Real>
constexpr size_t panel_numbers(long depth, long columns) {
    return (columns + PANEL<Real> - 1) / PANEL<Real> * PANEL<Real> * depth;
}

// Up to ROWS rows (count, depth) x panels to (count, columns), plus a bias if there is one, or plus what is there already.
template <class Real>
static void rows_by_panels(
    long count, long columns, long depth, const Real* x, long x_row, const Real* panels, const Real* bias, Real* y, long y_row,
    bool add = false) {
    for (long j = 0; j < columns; j += PANEL<Real>) {
        const int width = (int)(columns - j < PANEL<Real> ? columns - j : PANEL<Real>);
        const Real* panel = panels + j * depth;
        if (bias)
            for (long i = 0; i < count; i++) copy_row(bias + j, y + i * y_row + j, width);
        if (bias || add)
            product<true>((int)count, width, (int)depth, x, x_row, 1, panel, PANEL<Real>, y + j, y_row);
        else
            product<false>((int)count, width, (int)depth, x, x_row, 1, panel, PANEL<Real>, y + j, y_row);
    }
}

template <class Real>
static void add_rows(long rows, long width, const Real* from, long from_row, Real* sum) {
    for (long t = 0; t < rows; t++)
        each_vector<Real>(width, [&](long c, auto part) {
            store(sum + c, load(sum + c, part) + load(from + t * from_row + c, part), part);
        });
}

// Working memory of `add_outer` for so many tokens.
template <class Real>
struct Outer {
    Scratch<Real> scratch;
    Real *strips, *panels;

    Outer(long depth, long rows, long columns)
        : scratch(panel_numbers<Real>(depth, columns) + (rows + STRIP) * depth),
          strips(scratch.take((rows + STRIP) * depth)),
          panels(scratch.take(panel_numbers<Real>(depth, columns))) {}
};

// Adds left^T right, (depth, rows) and (depth, columns), to (rows, columns). The narrower one should go first: it is laid out more slowly.
template <class Real>
static void add_outer(
    const Outer<Real>& space, long depth, long rows, long columns, const Real* left, long left_row, const Real* right, long right_row,
    Real* found, long found_row) {
    to_panels(depth, columns, right, right_row, space.panels);
    for (long i = 0; i < rows; i += STRIP) {
        Real* strip = space.strips + i * depth;
        if (rows - i >= STRIP)  // a number of bytes that the compiler knows
            for (long k = 0; k < depth; k++) memcpy(strip + k * STRIP, left + k * left_row + i, STRIP * sizeof(Real));
        else
            for (long k = 0; k < depth; k++) memcpy(strip + k * STRIP, left + k * left_row + i, (rows - i) * sizeof(Real));
    }
    for (long j = 0; j < columns; j += PANEL<Real>) {
        const int width = (int)(columns - j < PANEL<Real> ? columns - j : PANEL<Real>);
        for (long i = 0; i < rows; i += STRIP)
            product<true>(
                (int)(rows - i < STRIP ? rows - i : STRIP), width, (int)depth, space.strips + i * depth, 1, STRIP, space.panels + j * depth,
                PANEL<Real>, found + i * found_row + j, found_row);
    }
}
