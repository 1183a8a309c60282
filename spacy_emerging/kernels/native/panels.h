// Products of many rows with a small matrix, which is laid out in panels, as many columns as a strip of results has: the innermost loop
// then reads it from end to end.
#pragma once

#include "product.h"

template <class Real>
constexpr long PANEL = 2 * LANES<Real>;  // columns
constexpr long ROWS = 16 * STRIP;        // rows that go through all panels before the next ones
constexpr long DEEP = 256;               // numbers of a column that go through before the next ones: they stay in the nearest cache
constexpr long DEPTH = 256;              // tokens that the gradient of a weight sums up at a time
constexpr long SOON = 16;                // rows that are asked for ahead of those that are copied

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

// (depth, columns) to panels: those of each PANEL columns one after the other, `depth` long. What stands beyond the last
// column is never used.
template <class Real>
static void to_panels(long depth, long columns, const Real* from, long from_row, Real* to) {
    for (long j = 0; j < columns; j += PANEL<Real>) {
        Real* panel = to + j * depth;
        const long width = columns - j < PANEL<Real> ? columns - j : PANEL<Real>;
        for (long k = 0; k < depth; k++) {
            __builtin_prefetch(from + (k + SOON) * from_row + j);
            copy_row(from + k * from_row + j, panel + k * PANEL<Real>, width);
        }
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

// The panels that fall to a thread, of a matrix (depth, columns) or of the transpose of one (columns, depth).
template <class Real>
static void share_of_panels(bool transposed, long depth, long columns, const Real* from, Real* to, long threads, long number) {
    const long share = ((columns + threads - 1) / threads + PANEL<Real> - 1) / PANEL<Real> * PANEL<Real>, first = number * share;
    if (first >= columns) return;
    const long count = columns - first < share ? columns - first : share;
    if (transposed)
        transposed_to_panels(depth, count, from + first * depth, to + first * depth);
    else
        to_panels(depth, count, from + first, columns, to + first * depth);
}

// Calls work(first, count) for blocks of rows that fall to a thread, where each gets as many rows as the others.
template <class Work>
INLINE void each_block(long rows, long block, long threads, long number, Work work) {
    const long share = ((rows + threads - 1) / threads + STRIP - 1) / STRIP * STRIP;
    const long end = (number + 1) * share < rows ? (number + 1) * share : rows;
    for (long first = number * share; first < end; first += block) work(first, end - first < block ? end - first : block);
}

template <class Real>
constexpr size_t panel_numbers(long depth, long columns) {
    return (columns + PANEL<Real> - 1) / PANEL<Real> * PANEL<Real> * depth;
}

// COUNT rows times `depth` rows of a panel, plus a bias if there is one, to c or added to it. What is written last is asked for first.
// a: any strides. first, second: how many columns of the panel's two vectors there are.
template <bool ADD, int COUNT, class Real, class Width>
INLINE void tile_of_panel(
    long depth, const Real* a, long a_row, long a_column, const Real* panel, const Real* bias, Real* c, long c_row, Width first,
    Width second) {
    constexpr int lanes = LANES<Real>;
    for (int i = 0; i < COUNT; i++) {
        __builtin_prefetch(c + i * c_row, 1);
        __builtin_prefetch(c + i * c_row + PANEL<Real> - 1, 1);  // they may lie in two lines of the cache
    }
    const Vector<Real> start[2] = {bias ? load(bias, first) : Vector<Real>{}, bias ? load(bias + lanes, second) : Vector<Real>{}};
    Vector<Real> sums[COUNT][2];
    for (int i = 0; i < COUNT; i++) sums[i][0] = start[0], sums[i][1] = start[1];
    for (long k = 0; k < depth; k++) {
        const Vector<Real> left = load(panel + k * PANEL<Real>, Whole{}), right = load(panel + k * PANEL<Real> + lanes, Whole{});
        for (int i = 0; i < COUNT; i++) {
            const Real factor = a[i * a_row + k * a_column];
            sums[i][0] += factor * left, sums[i][1] += factor * right;
        }
    }
    for (int i = 0; i < COUNT; i++) {
        Real* row = c + i * c_row;
        store(row, ADD ? load(row, first) + sums[i][0] : sums[i][0], first);
        store(row + lanes, ADD ? load(row + lanes, second) + sums[i][1] : sums[i][1], second);
    }
}

template <bool ADD, int COUNT, class Real>
INLINE void tile_of_panel(
    long depth, const Real* a, long a_row, long a_column, const Real* panel, const Real* bias, Real* c, long c_row, long width) {
    if (width >= PANEL<Real>)
        return tile_of_panel<ADD, COUNT>(depth, a, a_row, a_column, panel, bias, c, c_row, Whole{}, Whole{});
    const int first = (int)(width < LANES<Real> ? width : LANES<Real>);
    tile_of_panel<ADD, COUNT>(depth, a, a_row, a_column, panel, bias, c, c_row, Part{first}, Part{(int)width - first});
}

// The same of any number of rows.
template <bool ADD, class Real>
INLINE void by_panel(
    long count, long width, long depth, const Real* a, long a_row, long a_column, const Real* panel, const Real* bias, Real* c,
    long c_row) {
    for (; count >= STRIP; count -= STRIP, a += STRIP * a_row, c += STRIP * c_row)
        tile_of_panel<ADD, STRIP>(depth, a, a_row, a_column, panel, bias, c, c_row, width);
    switch (count) {
        case 5: tile_of_panel<ADD, 5>(depth, a, a_row, a_column, panel, bias, c, c_row, width); break;
        case 4: tile_of_panel<ADD, 4>(depth, a, a_row, a_column, panel, bias, c, c_row, width); break;
        case 3: tile_of_panel<ADD, 3>(depth, a, a_row, a_column, panel, bias, c, c_row, width); break;
        case 2: tile_of_panel<ADD, 2>(depth, a, a_row, a_column, panel, bias, c, c_row, width); break;
        case 1: tile_of_panel<ADD, 1>(depth, a, a_row, a_column, panel, bias, c, c_row, width); break;
    }
}

// Up to ROWS rows (count, depth) x panels to (count, columns), plus a bias if there is one, or plus what is there already.
template <class Real>
static void rows_by_panels(
    long count, long columns, long depth, const Real* x, long x_row, const Real* panels, const Real* bias, Real* y, long y_row,
    bool add = false) {
    for (long k = 0; k < depth; k += DEEP)
        for (long j = 0; j < columns; j += PANEL<Real>) {
            const long now = depth - k < DEEP ? depth - k : DEEP;
            const Real* panel = panels + j * depth + k * PANEL<Real>;
            if (k || add)
                by_panel<true, Real>(count, columns - j, now, x + k, x_row, 1, panel, nullptr, y + j, y_row);
            else
                by_panel<false>(count, columns - j, now, x + k, x_row, 1, panel, bias ? bias + j : nullptr, y + j, y_row);
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
    Real *strips, *panel;

    Outer(long depth, long rows)
        : scratch((rows + STRIP + PANEL<Real>) * depth), strips(scratch.take((rows + STRIP) * depth)), panel(scratch.take(0)) {}
};

// Adds left^T right, (depth, rows) and (depth, columns), to (rows, columns). The narrower one should go first: it is laid out more slowly.
template <class Real>
static void add_outer(
    const Outer<Real>& space, long depth, long rows, long columns, const Real* left, long left_row, const Real* right, long right_row,
    Real* found, long found_row) {
    for (long i = 0; i < rows; i += STRIP) {
        Real* strip = space.strips + i * depth;
        if (rows - i >= STRIP)  // a number of bytes that the compiler knows
            for (long k = 0; k < depth; k++) {
                __builtin_prefetch(left + (k + SOON) * left_row + i);
                memcpy(strip + k * STRIP, left + k * left_row + i, STRIP * sizeof(Real));
            }
        else
            for (long k = 0; k < depth; k++) memcpy(strip + k * STRIP, left + k * left_row + i, (rows - i) * sizeof(Real));
    }
    for (long j = 0; j < columns; j += PANEL<Real>) {
        const long width = columns - j < PANEL<Real> ? columns - j : PANEL<Real>;
        to_panels(depth, width, right + j, right_row, space.panel);
        const long share = depth * STRIP / rows + 1;  // rows of the next panel that are asked for with each strip
        for (long i = 0, next = 0; i < rows; i += STRIP, next += share) {
            for (long k = next; k < next + share && k < depth; k++) {
                __builtin_prefetch(right + k * right_row + j + PANEL<Real>);
                __builtin_prefetch(right + k * right_row + j + 2 * PANEL<Real> - 1);
            }
            by_panel<true, Real>(
                rows - i < STRIP ? rows - i : STRIP, width, depth, space.strips + i * depth, 1, STRIP, space.panel, nullptr,
                found + i * found_row + j, found_row);
        }
    }
}

// What is found for a matrix (rows, columns) by the other threads, one after the other, is added to that of the first one; a thread has a share
// of the rows.
template <class Real>
static void add_others(long rows, long columns, Real* found, const Real* others, long threads, long number) {
    const long first = rows * number / threads * columns, count = rows * (number + 1) / threads * columns - first;
    for (long other = 0; other + 1 < threads; other++) add_rows(1, count, others + other * rows * columns + first, 0, found + first);
}

// The transpose of the sum of what all threads have found, (threads, rows, columns), to (columns, rows).
template <class Real>
static void turned_sum(long rows, long columns, Real* found, Real* to, long threads, long number) {
    add_others(rows, columns, found, found + rows * columns, threads, number);
    const long first = rows * number / threads, count = rows * (number + 1) / threads - first;
    transpose((int)count, (int)columns, found + first * columns, columns, to + first, rows);
}
