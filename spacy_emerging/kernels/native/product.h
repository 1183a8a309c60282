// Products of small matrices that lie in the caches: what the scans are made of.
#pragma once

#include "simd.h"

// ROWS rows of C over one or two vectors of columns.
template <bool ADD, int ROWS, int VECTORS, class Real, class Width>
INLINE void tile(int depth, const Real* a, long a_row, long a_column, const Real* b, long b_row, Real* c, long c_row, Width width) {
    constexpr int lanes = LANES<Real>;
    Vector<Real> sums[ROWS][VECTORS];
    for (int i = 0; i < ROWS; i++)
        for (int v = 0; v < VECTORS; v++) sums[i][v] = ADD ? load(c + i * c_row + v * lanes, width) : Vector<Real>{};
    for (int k = 0; k < depth; k++) {
        Vector<Real> row[VECTORS];
        for (int v = 0; v < VECTORS; v++) row[v] = load(b + k * b_row + v * lanes, width);
        for (int i = 0; i < ROWS; i++) {
            Real factor = a[i * a_row + k * a_column];
            for (int v = 0; v < VECTORS; v++) sums[i][v] += factor * row[v];
        }
    }
    for (int i = 0; i < ROWS; i++)
        for (int v = 0; v < VECTORS; v++) store(c + i * c_row + v * lanes, sums[i][v], width);
}

template <bool ADD, int ROWS, class Real>
INLINE void strip(int columns, int depth, const Real* a, long a_row, long a_column, const Real* b, long b_row, Real* c, long c_row) {
    constexpr int lanes = LANES<Real>, wide = ROWS == 1 ? 8 : ROWS <= 3 ? 4 : 2;  // sums enough that none waits for itself
    int j = 0;
    if constexpr (wide > 2)
        for (; j + wide * lanes <= columns; j += wide * lanes)
            tile<ADD, ROWS, wide>(depth, a, a_row, a_column, b + j, b_row, c + j, c_row, Whole{});
    for (; j + 2 * lanes <= columns; j += 2 * lanes)
        tile<ADD, ROWS, 2>(depth, a, a_row, a_column, b + j, b_row, c + j, c_row, Whole{});
    for (; j + lanes <= columns; j += lanes) tile<ADD, ROWS, 1>(depth, a, a_row, a_column, b + j, b_row, c + j, c_row, Whole{});
    if (j < columns) tile<ADD, ROWS, 1>(depth, a, a_row, a_column, b + j, b_row, c + j, c_row, Part{columns - j});
}

constexpr int STRIP = 6;

// C = A B, or C += A B. A: (rows, depth), any strides. B: (depth, columns), C: (rows, columns), contiguous along columns.
template <bool ADD, class Real>
static void product(
    int rows, int columns, int depth, const Real* a, long a_row, long a_column, const Real* b, long b_row, Real* c, long c_row) {
    int i = 0;
    for (; i + STRIP <= rows; i += STRIP)
        strip<ADD, STRIP>(columns, depth, a + i * a_row, a_row, a_column, b, b_row, c + i * c_row, c_row);
    const Real* rest = a + i * a_row;
    Real* out = c + i * c_row;
    switch (rows - i) {
        case 5: strip<ADD, 5>(columns, depth, rest, a_row, a_column, b, b_row, out, c_row); break;
        case 4: strip<ADD, 4>(columns, depth, rest, a_row, a_column, b, b_row, out, c_row); break;
        case 3: strip<ADD, 3>(columns, depth, rest, a_row, a_column, b, b_row, out, c_row); break;
        case 2: strip<ADD, 2>(columns, depth, rest, a_row, a_column, b, b_row, out, c_row); break;
        case 1: strip<ADD, 1>(columns, depth, rest, a_row, a_column, b, b_row, out, c_row); break;
    }
}

// C = A B or C += A B for a lower triangle of results: row i has i + 1 columns, and more are written, up to a multiple of LANES.
template <bool ADD, class Real>
static void product_to_lower(int rows, int depth, const Real* a, long a_row, const Real* b, long b_row, Real* c, long c_row) {
    for (int i = 0; i < rows; i += STRIP) {
        int now = rows - i < STRIP ? rows - i : STRIP;
        product<ADD>(now, (int)padded<Real>(i + now), depth, a + i * a_row, a_row, 1, b, b_row, c + i * c_row, c_row);
    }
}

// C = A B or C += A B for an A that is a lower triangle, zero above it.
template <bool ADD, class Real>
static void product_of_lower(int rows, int columns, const Real* a, long a_row, const Real* b, long b_row, Real* c, long c_row) {
    for (int i = 0; i < rows; i += STRIP) {
        int now = rows - i < STRIP ? rows - i : STRIP;
        product<ADD>(now, columns, i + now, a + i * a_row, a_row, 1, b, b_row, c + i * c_row, c_row);
    }
}

// C = A^T B or C += A^T B for an A (depth, rows) that is a lower triangle.
template <bool ADD, class Real>
static void product_of_transposed_lower(
    int rows, int columns, const Real* a, long a_row, const Real* b, long b_row, Real* c, long c_row) {
    for (int i = 0; i < rows; i += STRIP) {
        int now = rows - i < STRIP ? rows - i : STRIP;
        product<ADD>(now, columns, rows - i, a + i * a_row + i, 1, a_row, b + i * b_row, b_row, c + i * c_row, c_row);
    }
}

// 8 rows of so many columns to as many rows of 8.
template <class Real>
INLINE void turn(int columns, const Real* from, long from_row, Real* to, long to_row) {
    for (int j = 0; j < columns; j++)
        for (int k = 0; k < 8; k++) to[j * to_row + k] = from[k * from_row + j];
}

// The same of 8 columns, which compilers would turn number by number.
template <class Real>
INLINE void turn(const Real* from, long from_row, Real* to, long to_row) {
    turn(8, from, from_row, to, to_row);
}
#if defined(__AVX__)
INLINE void turn(const float* from, long from_row, float* to, long to_row) {
    for (int j = 0; j < 8; j += 4, from += 4, to += 4 * to_row) {
        __m256 row[4];  // and the row 4 further on, in its second half
        for (int k = 0; k < 4; k++)
            row[k] = _mm256_insertf128_ps(
                _mm256_castps128_ps256(_mm_loadu_ps(from + k * from_row)), _mm_loadu_ps(from + (k + 4) * from_row), 1);
        const __m256 low = _mm256_unpacklo_ps(row[0], row[1]), next_low = _mm256_unpacklo_ps(row[2], row[3]);
        const __m256 high = _mm256_unpackhi_ps(row[0], row[1]), next_high = _mm256_unpackhi_ps(row[2], row[3]);
        _mm256_storeu_ps(to, _mm256_shuffle_ps(low, next_low, 0x44));
        _mm256_storeu_ps(to + to_row, _mm256_shuffle_ps(low, next_low, 0xee));
        _mm256_storeu_ps(to + 2 * to_row, _mm256_shuffle_ps(high, next_high, 0x44));
        _mm256_storeu_ps(to + 3 * to_row, _mm256_shuffle_ps(high, next_high, 0xee));
    }
}
#endif

// (rows, columns) with rows so far apart, to (columns, rows) with rows `to_row` apart.
template <class Real>
static void transpose(int rows, int columns, const Real* from, long from_row, Real* to, long to_row) {
    int i = 0;
    for (; i + 8 <= rows; i += 8) {
        int j = 0;
        for (; j + 8 <= columns; j += 8) turn(from + i * from_row + j, from_row, to + j * to_row + i, to_row);
        turn(columns - j, from + i * from_row + j, from_row, to + j * to_row + i, to_row);
    }
    for (; i < rows; i++)
        for (int j = 0; j < columns; j++) to[j * to_row + i] = from[i * from_row + j];
}

template <class Real>
INLINE Real inner(int count, const Real* a, const Real* b) {
    Vector<Real> sums{};
    each_vector<Real>(count, [&](long at, auto width) { sums += load(a + at, width) * load(b + at, width); });
    return sum_of<Real>(sums);
}
