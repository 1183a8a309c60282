// The backward pass of state-space duality. Letters as in ssd.h.
#pragma once

#include "ssd.h"

namespace ssd {

template <class Real>
struct Gradients {
    Real *dx, *db, *dc;  // db and dc: (groups, T, N) where there are several groups, else in rows like dx
    long row, group_row, add;  // whether dx is added to
    Real *ddt, *da, *dskip;  // (T, H); (sequences, H) each
};

// What a backward pass works with, per thread.
template <class Real>
struct Desk {
    Scratch<Real> scratch;
    Real *match, *decay, *weights, *d_weights, *d_match, *turned, *x_turned, *d_y, *d_b, *d_c, *factored, *read, *state_turned;
    Real *log_decay, *dt, *fades, *to_end, *d_log, *d_dt, *d_state;

    explicit Desk(const Problem<Real>& p)
        : scratch(
              padded<Real>(p.chunk) * (5 * padded<Real>(p.chunk) + 5 * p.state + 2 * p.width + 6) +
              p.state * p.width * (p.heads + 1)) {
        const long Q = padded<Real>(p.chunk), N = p.state, P = p.width;
        for (Real** each : {&match, &decay, &weights, &d_weights, &d_match}) *each = scratch.take(Q * Q);
        for (Real** each : {&turned, &d_b, &d_c, &factored, &read}) *each = scratch.take(Q * N);
        for (Real** each : {&x_turned, &d_y}) *each = scratch.take(Q * P);
        for (Real** each : {&log_decay, &dt, &fades, &to_end, &d_log, &d_dt}) *each = scratch.take(Q);
        state_turned = scratch.take(N * P);
        d_state = scratch.take(p.heads * N * P);
    }
};

// The gradient of a chunk's x, of one head, in rows so far apart: written first, or added to.
template <class Real>
struct Target {
    Real* dx;
    long row, add;
};

// Through the tokens of one chunk: writes dx, or adds to it, adds to d_match, d_log and d_dt; gives the gradient of the skip.
template <class Real>
static Real back_within(
    const Problem<Real>& p, Desk<Real>& d, int tokens, long head, const Real* x, long row, const Target<Real>& target) {
    const long Q = padded<Real>(p.chunk), P = p.width;
    decay_matrix(tokens, d.log_decay, d.decay, Q);
    transpose(tokens, P, x, row, d.x_turned, Q);
    product_to_lower<false>(tokens, P, d.d_y, P, d.x_turned, Q, d.d_weights, Q);
    Real d_skip = 0;
    for (int i = 0; i < tokens; i++) {
        Real *decay = d.decay + i * Q, *d_w = d.d_weights + i * Q, *match = d.match + i * Q, *d_m = d.d_match + i * Q, *w = d.weights + i * Q;
        d_skip += d_w[i];
        Vector<Real> total{};
        Whole all;
        for (long j = 0; j < Q && j < i + STRIP; j += LANES<Real>) {
            Vector<Real> e = load(decay + j, all), g = load(d_w + j, all) * e, m = load(match + j, all), step = load(d.dt + j, all);
            store(w + j, e * m * step, all);
            store(d_m + j, load(d_m + j, all) + g * step, all);
            Vector<Real> by_step = g * m, by_log = by_step * step;
            store(d.d_dt + j, load(d.d_dt + j, all) + by_step, all);
            store(d.d_log + j, load(d.d_log + j, all) - by_log, all);
            total += by_log;
        }
        d.d_log[i] += sum_of<Real>(total);
        if (p.skip) w[i] += p.skip[head];
    }
    if (target.add)
        product_of_transposed_lower<true>(tokens, P, d.weights, Q, d.d_y, P, target.dx, target.row);
    else
        product_of_transposed_lower<false>(tokens, P, d.weights, Q, d.d_y, P, target.dx, target.row);
    return d_skip;
}

// Through the state that reaches the chunk: adds to d_c and d_log.
template <class Real>
static void through_entering(const Problem<Real>& p, Desk<Real>& d, int tokens, const Real* c, long row, const Real* entering) {
    const long N = p.state, P = p.width;
    transpose(N, P, entering, P, d.state_turned, N);
    product<false>(tokens, N, P, d.d_y, P, 1, d.state_turned, N, d.read, N);
    for (int i = 0; i < tokens; i++) {
        Real fade = d.fades[i], *read = d.read + i * N, *d_c = d.d_c + i * N;
        d.d_log[i] += fade * inner((int)N, c + i * row, read);
        each_vector<Real>(N, [&](long j, auto part) { store(d_c + j, load(d_c + j, part) + fade * load(read + j, part), part); });
    }
}

// Through the state that leaves the chunk, whose gradient is d_leaving: adds to dx, d_b, d_log and d_dt.
template <class Real>
static void through_leaving(
    const Problem<Real>& p, Desk<Real>& d, int tokens, const Real* x, const Real* b, long row, Real* d_leaving, const Real* entering,
    const Target<Real>& target) {
    const long N = p.state, P = p.width;
    const Real end = d.log_decay[tokens - 1];
    exponentials(tokens, d.log_decay, end, Real(-1), d.to_end);
    transpose(N, P, d_leaving, P, d.state_turned, N);
    product<false>(tokens, N, P, x, row, 1, d.state_turned, N, d.read, N);
    Real d_end = entering ? power_of_e(end) * inner((int)(N * P), d_leaving, entering) : Real(0);
    for (int i = 0; i < tokens; i++) {
        Real share = d.to_end[i] * d.dt[i], *read = d.read + i * N, *d_b = d.d_b + i * N;
        Real by_share = inner((int)N, b + i * row, read);
        d.d_dt[i] += by_share * d.to_end[i];
        d.d_log[i] -= by_share * share;
        d_end += by_share * share;
        each_vector<Real>(N, [&](long j, auto part) { store(d_b + j, load(d_b + j, part) + share * load(read + j, part), part); });
        d.fades[i] = share;
    }
    d.d_log[tokens - 1] += d_end;
    scaled(tokens, N, b, row, d.fades, d.factored);
    product<true>(tokens, P, N, d.factored, N, 1, d_leaving, P, target.dx, target.row);
}

// What a backward pass is given. states: those before chunks, from the forward pass. grad: of y, (T, H P).
template <class Real>
struct Given {
    const int64_t* state_begins;
    const Real *states, *grad;
    long row;
};

// The gradients of a chunk's y, of one head, by reading order.
template <class Real>
static void gradients_of_outputs(const Reader<Real>& r, const Given<Real>& given, Desk<Real>& d, long from, int tokens, long head) {
    const long P = r.p.width;
    for (int i = 0; i < tokens; i++) {
        if (from + i + r.p.shift < r.length)
            memcpy(d.d_y + i * P, given.grad + r.at(from + i + r.p.shift) * given.row + head * P, P * sizeof(Real));
        else
            memset(d.d_y + i * P, 0, P * sizeof(Real));
    }
}

// Writes what was found for the steps of a chunk's tokens, of one head.
template <class Real>
static void give(const Reader<Real>& r, const Desk<Real>& d, const Gradients<Real>& g, long from, int tokens, long head) {
    const auto& p = r.p;
    Real later = 0, of_rate = 0;
    for (int i = tokens - 1; i >= 0; i--) {
        later += d.d_log[i];
        const long token = r.at(from + i);
        g.ddt[token * p.heads + head] = d.d_dt[i] + later * p.a[head];
        of_rate += later * d.dt[i];
    }
    g.da[r.sequence * p.heads + head] += of_rate;
}

template <class Real>
static void backward(const Problem<Real>& p, Desk<Real>& d, long unit, const Given<Real>& given, const Gradients<Real>& g) {
    const long N = p.state, P = p.width, Q = padded<Real>(p.chunk);
    Reader<Real> r(p, unit);
    const long s = r.sequence, row = r.step * p.row, chunks = r.chunks();
    for (long head = r.first_head; head < r.last_head; head++) g.da[s * p.heads + head] = g.dskip[s * p.heads + head] = 0;
    for (long chunk = chunks - 1; chunk >= 0; chunk--) {
        const long from = chunk * p.chunk;
        const int tokens = (int)(r.length - from < p.chunk ? r.length - from : p.chunk);
        const Real *x = p.x + r.at(from) * p.row, *b = p.b + r.at(from) * p.row, *c = p.c + r.at(from) * p.row;
        fetch(x, row, tokens, p.heads * P);
        fetch(given.grad + r.at(from) * given.row, r.step * given.row, tokens, p.heads * P);
        transpose(tokens, N, b, row, d.turned, Q);
        product_to_lower<false>(tokens, N, c, row, d.turned, Q, d.match, Q);
        memset(d.d_match, 0, tokens * Q * sizeof(Real));
        memset(d.d_b, 0, tokens * N * sizeof(Real));
        memset(d.d_c, 0, tokens * N * sizeof(Real));
        for (long head = r.first_head; head < r.last_head; head++) {
            const Real* x_head = x + head * P;
            const Real* entering = chunk ? given.states + ((given.state_begins[s] + chunk) * p.heads + head) * N * P : nullptr;
            Real* d_state = d.d_state + head * N * P;
            const Target<Real> target{g.dx + r.at(from) * g.row + head * P, r.step * g.row, g.add};
            gradients_of_outputs(r, given, d, from, tokens, head);
            memset(d.d_log, 0, tokens * sizeof(Real));
            memset(d.d_dt, 0, tokens * sizeof(Real));
            decays(r, from, tokens, head, d.log_decay, d.dt);
            g.dskip[s * p.heads + head] += back_within(p, d, tokens, head, x_head, row, target);
            if (chunk + 1 < chunks) through_leaving(p, d, tokens, x_head, b, row, d_state, entering, target);
            if (chunk) {
                exponentials(tokens, d.log_decay, Real(0), Real(1), d.fades);
                through_entering(p, d, tokens, c, row, entering);
                if (chunk + 1 == chunks) memset(d_state, 0, N * P * sizeof(Real));
                scaled(tokens, N, c, row, d.fades, d.factored);
                carry(r, d.factored, tokens, d.d_y, P, power_of_e(d.log_decay[tokens - 1]), d_state);
            }
            give(r, d, g, from, tokens, head);
        }
        product_of_lower<true>(tokens, N, d.d_match, Q, b, row, d.d_c, N);
        product_of_transposed_lower<true>(tokens, N, d.d_match, Q, c, row, d.d_b, N);
        const long group = (unit % p.groups) * g.group_row;
        for (int i = 0; i < tokens; i++) {
            long to = group + r.at(from + i) * (p.groups > 1 ? N : g.row);
            memcpy(g.db + to, d.d_b + i * N, N * sizeof(Real));
            memcpy(g.dc + to, d.d_c + i * N, N * sizeof(Real));
        }
    }
}

}  // namespace ssd
