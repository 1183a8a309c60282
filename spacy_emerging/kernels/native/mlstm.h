// A chunk of the mLSTM: its gates, and its tokens by each other. What both passes need; letters as in mlstm.cpp.
#pragma once

#include <initializer_list>

#include "product.h"

namespace {

template <class Real>
struct Problem {
    long sequences;
    const int64_t* begins;        // of each sequence, and the end of the last one
    const int64_t* state_begins;  // of each sequence among the chunks
    long heads, width, chunk, reverse;
    const Real *q, *k, *v;  // (T, H d)
    long q_row, k_row, v_row;
    const Real* gates;  // (T, 2 H), preactivations of the input and the forget gates
    double epsilon;
    long columns() const { return padded<Real>(width + 1); }
};

INLINE float log_sigmoid(float x) { return (x < 0 ? x : 0) - log1pf(expf(x < 0 ? x : -x)); }
INLINE double log_sigmoid(double x) { return (x < 0 ? x : 0) - log1p(exp(x < 0 ? x : -x)); }

// One chunk of one head: where its tokens lie, and its gates.
template <class Real>
struct Chunk {
    const Problem<Real>& p;
    long begin, length, from, head, step;
    int tokens;

    Chunk(const Problem<Real>& p, long unit, long number)
        : p(p), begin(p.begins[unit / p.heads]), length(p.begins[unit / p.heads + 1] - begin), from(number * p.chunk), head(unit % p.heads),
          step(p.reverse ? -1 : 1), tokens((int)(length - from < p.chunk ? length - from : p.chunk)) {}
    bool last() const { return from + tokens == length; }
    long at(long i) const { return p.reverse ? begin + length - 1 - from - i : begin + from + i; }
    const Real* of(const Real* tensor, long row) const { return tensor + at(0) * row + head * p.width; }
};

template <class Real>
void exponentials(int count, const Real* from, Real base, Real sign, Real* to) {
    each_vector<Real>(padded<Real>(count), [&](long i, auto part) { store(to + i, exponential(base + sign * load(from + i, part)), part); });
}

// Rows times a number each.
template <class Real>
void scaled(int rows, long width, const Real* from, long from_row, const Real* by, Real* to, long to_row) {
    for (int i = 0; i < rows; i++)
        each_vector<Real>(width, [&](long j, auto part) { store(to + i * to_row + j, by[i] * load(from + i * from_row + j, part), part); });
}

// What a thread works with, the arrays that both passes need.
template <class Real>
struct Desk {
    Scratch<Real> scratch;
    const long Q, P;
    const Real scale;  // of the keys
    Real *m, *above, *bound, *floor, *fade, *to_end;  // per token; to_end with the scale of the keys
    Real *turned, *values, *weights, *decay, *factored, *read;

    Desk(const Problem<Real>& p, long further)
        : scratch(padded<Real>(p.chunk) * (6 + 2 * padded<Real>(p.chunk) + 4 * p.columns()) + further), Q(padded<Real>(p.chunk)), P(p.columns()), scale(1 / root((Real)p.width)) {
        for (Real** each : {&m, &above, &bound, &floor, &fade, &to_end}) *each = scratch.take(Q);
        for (Real** each : {&turned, &values, &factored, &read}) *each = scratch.take(Q * P);
        for (Real** each : {&weights, &decay}) *each = scratch.take(Q * Q);
    }

    // before: m of the state that reaches the chunk, and m of the one that leaves it. at_start: whether there is none yet.
    void stabilize(const Chunk<Real>& c, bool at_start, Real before) {
        const long heads = c.p.heads;
        double sum = 0;
        Real largest = before;
        for (int i = 0; i < c.tokens; i++) {
            const Real* gates = c.p.gates + c.at(i) * 2 * heads + c.head;
            sum += log_sigmoid(gates[heads]);
            above[i] = (Real)(gates[0] - sum);
            largest = (at_start && !i) || above[i] > largest ? above[i] : largest;
            bound[i] = largest;
            floor[i] = m[i] = (Real)(sum + largest);
        }
        exponentials(c.tokens, floor, Real(0), Real(-1), floor);
        if (!at_start) exponentials(c.tokens, bound, before, Real(-1), fade);
        exponentials(c.tokens, above, -bound[c.tokens - 1], Real(1), to_end);
        for (int i = 0; i < c.tokens; i++) to_end[i] *= scale;
    }
    Real leaving(const Chunk<Real>& c) const { return m[c.tokens - 1]; }

    // decay times the scale of the keys, and weights, zero above the diagonal as far as a strip of rows reads; and the values with ones beside them.
    void match(const Chunk<Real>& c) {
        const auto& p = c.p;
        transpose(c.tokens, (int)p.width, c.of(p.k, p.k_row), c.step * p.k_row, turned, Q);
        product_to_lower<false>(c.tokens, (int)p.width, c.of(p.q, p.q_row), c.step * p.q_row, turned, Q, weights, Q);
        const Real* v = c.of(p.v, p.v_row);
        for (int i = 0; i < c.tokens; i++) {
            for (long j = 0; j < Q && j < i + STRIP; j += LANES<Real>) {
                Vector<Real> e = up_to<Real>(i, j, scale * exponential(load(above + j, Whole{}) - bound[i]));
                store(decay + i * Q + j, e, Whole{});
                store(weights + i * Q + j, e * load(weights + i * Q + j, Whole{}), Whole{});
            }
            memcpy(values + i * P, v + i * c.step * p.v_row, p.width * sizeof(Real));
            values[i * P + p.width] = 1;
        }
    }
};

}  // namespace
