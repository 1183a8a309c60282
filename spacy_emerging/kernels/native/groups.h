// What a block of an encoder is made of that takes a group of sequences through all of it before the next one, so that what lies between stays
// in the caches.
#pragma once

#include "norm.h"
#include "panels.h"
#include "units.h"

constexpr long GROUP = 128;  // tokens that go through together, unless a sequence has more

// A row, plus another one if there is one.
template <class Real>
static void give_row(long width, const Real* row, const Real* other, Real* to) {
    each_vector<Real>(width, [&](long c, auto part) {
        const Vector<Real> value = load(row + c, part);
        store(to + c, other ? value + load(other + c, part) : value, part);
    });
}

// The stream that enters a block, in which every row goes through a norm first, and to which what the block makes of it is added.
template <class Real>
struct Stream {
    long width;
    const Real* x;  // (T, width) in rows of
    long row;
    const int64_t* order;  // (T), the tokens as the block reads them, or none
    const Real* norm_weight;
    bool residual;  // whether x itself is added to what is found

    long place(long t) const { return order ? order[t] : t; }
    const Real* at(long t) const { return x + place(t) * row; }

    // The norm of a group's rows. scales: of its first token on.
    void normed(long first, long tokens, Real* to, Real* scales, Real epsilon) const {
        for (long t = 0; t < tokens; t++) {
            if (t + SOON < tokens) fetch(at(first + t + SOON), 0, 1, width);
            scales[t] = norm::forward<norm::NONE>(at(first + t), (const Real*)nullptr, norm_weight, to + t * width, width, epsilon);
        }
    }
    // Writes what was found for a group to where it belongs.
    void give(long first, long tokens, const Real* found, Real* out, long out_row) const {
        for (long t = 0; t < tokens; t++)
            give_row(width, found + t * width, residual ? at(first + t) : nullptr, out + place(first + t) * out_row);
    }
    // The gradient of what was found for a group.
    void take(long first, long tokens, const Real* grad, long grad_row, Real* to) const {
        for (long t = 0; t < tokens; t++) memcpy(to + t * width, grad + place(first + t) * grad_row, width * sizeof(Real));
    }
    // Writes the gradient of a group of x, given that of what was normed, which is written over, and that of what was found.
    void back(
        long first, long tokens, Real* d_normed, const Real* d_found, const Real* scales, const norm::Space<Real>& space, Real* dx,
        long dx_row) const {
        for (long t = 0; t < tokens; t++) {
            Real* d = d_normed + t * width;
            norm::backward<norm::NONE>(at(first + t), (const Real*)nullptr, norm_weight, scales[t], d, d, (Real*)nullptr, space, width);
            give_row(width, d, residual ? d_found + t * width : nullptr, dx + place(first + t) * dx_row);
        }
    }
};

// Arrays for each token of a group, cut from working memory, each from a line of the cache on.
template <class Real>
struct Room {
    Real* next;
    long tokens;

    Real* take(long numbers) {
        Real* found = next;
        next += (tokens * numbers * sizeof(Real) + LINE - 1) / LINE * (LINE / sizeof(Real));
        return found;
    }
};

// Calls work(first, end) for groups of the sequences that fall to a thread.
template <class Work>
INLINE void each_group(const int64_t* begins, long sequences, long threads, long number, Work work) {
    long first = -1, end = -1;
    each_sequence(begins, sequences, threads, number, [&](long s) {
        if (first >= 0 && begins[s + 1] - begins[first] > GROUP) work(first, end), first = -1;
        if (first < 0) first = s;
        end = s + 1;
    });
    if (first >= 0) work(first, end);
}

// Any number of rows through panels, plus a bias if there is one: in equal shares, since a few rows that are left over would read all panels
// for themselves.
template <class Real>
static void all_rows(
    long rows, long columns, long depth, const Real* x, long x_row, const Real* panels, const Real* bias, Real* y, long y_row) {
    const long shares = (rows + GROUP - 1) / GROUP, share = shares ? (rows + shares - 1) / shares : 0;
    each_block(rows, (share + STRIP - 1) / STRIP * STRIP, 1, 0, [&](long first, long count) {
        rows_by_panels<Real>(count, columns, depth, x + first * x_row, x_row, panels, bias, y + first * y_row, y_row);
    });
}

// add_outer of any number of tokens.
template <class Real>
static void add_all(
    const Outer<Real>& space, long tokens, long rows, long columns, const Real* left, const Real* right, long right_row, Real* found) {
    for (long t = 0; t < tokens; t += DEPTH)
        add_outer<Real>(
            space, tokens - t < DEPTH ? tokens - t : DEPTH, rows, columns, left + t * rows, rows, right + t * right_row, right_row, found,
            columns);
}
