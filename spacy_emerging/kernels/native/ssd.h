// State-space duality over sequences that lie end to end, chunk by chunk: ssd.py says what is computed. Parts of both passes, and the one
// forward.
//
// Letters as there: H heads, P width of a head, N width of the state, Q tokens of a chunk. All of a chunk stays in the nearest caches.
#pragma once

#include <initializer_list>

#include "product.h"

namespace ssd {

template <class Real>
struct Problem {
    long sequences;
    const int64_t* begins;  // of each sequence, and the end of the last one
    long heads, width, state, chunk;
    long reverse;  // whether sequences are read from their ends
    long shift;    // 1: what a token reads is given to the one that is read next, and a token sees nothing of itself
    long groups;   // groups of heads that threads work on
    const Real *x, *b, *c;
    long row;  // from token to token of x, b and c
    const Real *dt, *a, *skip;  // (T, H), (H), (H) or none
};

// One sequence and some of its heads.
template <class Real>
struct Reader {
    const Problem<Real>& p;
    long sequence, begin, length, step, first_head, last_head;

    Reader(const Problem<Real>& p, long unit) : p(p), sequence(unit / p.groups) {
        long group = unit % p.groups;
        begin = p.begins[sequence];
        length = p.begins[sequence + 1] - begin;
        step = p.reverse ? -1 : 1;
        first_head = p.heads * group / p.groups;
        last_head = p.heads * (group + 1) / p.groups;
    }
    // Where the token lies that is read as number t.
    long at(long t) const { return p.reverse ? begin + length - 1 - t : begin + t; }
    long chunks() const { return (length + p.chunk - 1) / p.chunk; }
};

// log of the decay from before the chunk to after each token, and the steps.
template <class Real>
static void decays(const Reader<Real>& r, long from, int tokens, long head, Real* log_decay, Real* dt) {
    Real total = 0;
    for (int i = 0; i < tokens; i++) {
        dt[i] = r.p.dt[r.at(from + i) * r.p.heads + head];
        log_decay[i] = total += dt[i] * r.p.a[head];
    }
}

// decay[i, j] = exp(log_decay[i] - log_decay[j]) for j up to i, and zeros after it as far as a strip of rows reads.
template <class Real>
static void decay_matrix(int tokens, const Real* log_decay, Real* decay, long row) {
    for (int i = 0; i < tokens; i++) {
        Real* to = decay + i * row;
        for (long j = 0; j < row && j < i + STRIP; j += LANES<Real>)
            store(to + j, up_to<Real>(i, j, exponential(log_decay[i] - load(log_decay + j, Whole{}))), Whole{});
    }
}

template <class Real>
static void exponentials(int count, const Real* from, Real base, Real sign, Real* to) {
    each_vector<Real>(count, [&](long i, auto part) { store(to + i, exponential(base + sign * load(from + i, part)), part); });
}

// Rows times a number each.
template <class Real>
static void scaled(int rows, long width, const Real* from, long from_row, const Real* by, Real* to) {
    for (int i = 0; i < rows; i++)
        each_vector<Real>(width, [&](long j, auto part) { store(to + i * width + j, by[i] * load(from + i * from_row + j, part), part); });
}

// (N, P) state after a chunk: decay x state before it + (to_end b)^T x.
template <class Real>
static void carry(const Reader<Real>& r, const Real* to_end_b, int tokens, const Real* x, long x_row, Real fade, Real* state) {
    const auto& p = r.p;
    each_vector<Real>(p.state * p.width, [&](long i, auto part) { store(state + i, fade * load(state + i, part), part); });
    product<true>(p.state, p.width, tokens, to_end_b, 1, p.state, x, x_row, state, p.width);
}

// What a forward pass works with, per thread.
template <class Real>
struct Table {
    Scratch<Real> scratch;
    Real *match, *weights, *turned, *to_end_b, *faded_c, *log_decay, *dt, *factor, *fades, *state;

    explicit Table(const Problem<Real>& p)
        : scratch(padded<Real>(p.chunk) * (2 * padded<Real>(p.chunk) + 3 * p.state + 4) + p.heads * p.state * p.width) {
        const long Q = padded<Real>(p.chunk), N = p.state, P = p.width;
        for (Real** each : {&match, &weights}) *each = scratch.take(Q * Q);
        for (Real** each : {&turned, &to_end_b, &faded_c}) *each = scratch.take(Q * N);
        for (Real** each : {&log_decay, &dt, &factor, &fades}) *each = scratch.take(Q);
        state = scratch.take(p.heads * N * P);
    }
};

// Where states are kept. before: (chunks, H, N, P) per sequence, one sequence's after the other from `begins` on, those before each chunk;
// or none. start, end: (sequences, H, N, P), the states before the first token, or none, and after the last, written unless there is none.
template <class Real>
struct States {
    const int64_t* begins;
    Real* before;
    const Real* start;
    Real* end;
};

// y: (T, H P), written, or added to.
template <class Real>
struct Output {
    Real* y;
    long row, add;
};

// A chunk's tokens by each other, of one head: writes the first `given` rows of y, or adds to them.
template <class Real>
static void within(
    const Problem<Real>& p, Table<Real>& d, int tokens, long head, const Real* x, long row, int given, Real* y, long y_row, bool add) {
    const long Q = padded<Real>(p.chunk);
    decay_matrix(tokens, d.log_decay, d.weights, Q);
    for (int i = 0; i < tokens; i++) {
        Real *w = d.weights + i * Q, *m = d.match + i * Q;
        for (long j = 0; j <= i; j += LANES<Real>)
            store(w + j, load(w + j, Whole{}) * load(m + j, Whole{}) * load(d.dt + j, Whole{}), Whole{});
        if (p.skip) w[i] += p.skip[head];
    }
    if (add)
        product_of_lower<true>(given, p.width, d.weights, Q, x, row, y, y_row);
    else
        product_of_lower<false>(given, p.width, d.weights, Q, x, row, y, y_row);
}

template <class Real>
static void forward(const Problem<Real>& p, Table<Real>& d, long unit, const States<Real>& states, const Output<Real>& output) {
    const long N = p.state, P = p.width, Q = padded<Real>(p.chunk);
    Reader<Real> r(p, unit);
    const long row = r.step * p.row, chunks = r.chunks(), of_sequence = unit / p.groups * p.heads * N * P;
    if (states.start)
        memcpy(d.state, states.start + of_sequence, p.heads * N * P * sizeof(Real));
    else if (chunks > 1 || states.end)
        memset(d.state, 0, p.heads * N * P * sizeof(Real));
    for (long chunk = 0; chunk < chunks; chunk++) {
        const long from = chunk * p.chunk;
        const int tokens = (int)(r.length - from < p.chunk ? r.length - from : p.chunk);
        const Real *x = p.x + r.at(from) * p.row, *b = p.b + r.at(from) * p.row, *c = p.c + r.at(from) * p.row;
        fetch(x, row, tokens, p.heads * P);
        fetch(b, row, tokens, N);
        fetch(c, row, tokens, N);
        transpose(tokens, N, b, row, d.turned, Q);
        product_to_lower<false>(tokens, N, c, row, d.turned, Q, d.match, Q);
        const long y_row = r.step * output.row, left = r.length - from - p.shift;
        const int given = (int)(left < tokens ? left : tokens);  // what is read last has no one to be given to
        for (long head = r.first_head; head < r.last_head; head++) {
            Real *own = d.state + head * N * P, *y = output.y + r.at(from + p.shift) * output.row + head * P;
            decays(r, from, tokens, head, d.log_decay, d.dt);
            within(p, d, tokens, head, x + head * P, row, given, y, y_row, output.add != 0);
            if (chunk || states.start) {
                exponentials(tokens, d.log_decay, Real(0), Real(1), d.fades);
                scaled(tokens, N, c, row, d.fades, d.faded_c);
                product<true>(given, P, N, d.faded_c, N, 1, own, P, y, y_row);
            }
            if (states.before && chunk)
                memcpy(states.before + ((states.begins[unit / p.groups] + chunk) * p.heads + head) * N * P, own, N * P * sizeof(Real));
            if (chunk + 1 < chunks || states.end) {
                exponentials(tokens, d.log_decay, d.log_decay[tokens - 1], Real(-1), d.factor);
                for (int i = 0; i < tokens; i++) d.factor[i] *= d.dt[i];
                scaled(tokens, N, b, row, d.factor, d.to_end_b);
                carry(r, d.to_end_b, tokens, x + head * P, row, power_of_e(d.log_decay[tokens - 1]), own);
                if (states.end && chunk + 1 == chunks) memcpy(states.end + of_sequence + head * N * P, own, N * P * sizeof(Real));
            }
        }
    }
}

}  // namespace ssd
