// State-space duality over sequences that lie end to end, chunk by chunk: ssd.py says what is computed.
//
// Letters as there: H heads, P width of a head, N width of the state, Q tokens of a chunk. All of a chunk stays in the nearest caches.
#include <initializer_list>

#include "product.h"

namespace {

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
    long begin, length, step, first_head, last_head;

    Reader(const Problem<Real>& p, long unit) : p(p) {
        long s = unit / p.groups, group = unit % p.groups;
        begin = p.begins[s];
        length = p.begins[s + 1] - begin;
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

// states: (chunks, H, N, P) per sequence, one sequence's after the other, those before each chunk; or none. start, end: (sequences, H, N, P), the
// states before the first token, or none, and after the last, written unless there is none. y: (T, H P), written, or added to.
template <class Real>
static void forward(
    const Problem<Real>& p, const int64_t* state_begins, Real* states, const Real* start, Real* end, Real* y, long y_row, long add,
    long threads) {
    const long N = p.state, P = p.width, Q = padded<Real>(p.chunk);
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
        Scratch<Real> scratch(2 * Q * Q + 3 * Q * N + 4 * Q + Q * P + p.heads * N * P);
        Real *match = scratch.take(Q * Q), *weights = scratch.take(Q * Q), *turned = scratch.take(Q * N);
        Real *to_end_b = scratch.take(Q * N), *faded_c = scratch.take(Q * N);
        Real *log_decay = scratch.take(Q), *dt = scratch.take(Q), *factor = scratch.take(Q), *fades = scratch.take(Q);
        Real *out = scratch.take(Q * P), *state = scratch.take(p.heads * N * P);
#pragma omp for schedule(static)
        for (long unit = 0; unit < p.sequences * p.groups; unit++) {
            Reader<Real> r(p, unit);
            const long row = r.step * p.row, chunks = r.chunks(), of_sequence = unit / p.groups * p.heads * N * P;
            if (start)
                memcpy(state, start + of_sequence, p.heads * N * P * sizeof(Real));
            else if (chunks > 1 || end)
                memset(state, 0, p.heads * N * P * sizeof(Real));
            for (long chunk = 0; chunk < chunks; chunk++) {
                const long from = chunk * p.chunk;
                const int tokens = (int)(r.length - from < p.chunk ? r.length - from : p.chunk);
                const Real *x = p.x + r.at(from) * p.row, *b = p.b + r.at(from) * p.row, *c = p.c + r.at(from) * p.row;
                fetch(x, row, tokens, p.heads * P);
                fetch(b, row, tokens, N);
                fetch(c, row, tokens, N);
                transpose(tokens, N, b, row, turned, Q);
                product_to_lower<false>(tokens, N, c, row, turned, Q, match, Q);
                for (long head = r.first_head; head < r.last_head; head++) {
                    const Real* x_head = x + head * P;
                    Real* own = state + head * N * P;
                    decays(r, from, tokens, head, log_decay, dt);
                    decay_matrix(tokens, log_decay, weights, Q);
                    for (int i = 0; i < tokens; i++) {
                        Real *w = weights + i * Q, *m = match + i * Q;
                        for (long j = 0; j <= i; j += LANES<Real>)
                            store(w + j, load(w + j, Whole{}) * load(m + j, Whole{}) * load(dt + j, Whole{}), Whole{});
                        if (p.skip) w[i] += p.skip[head];
                    }
                    product_of_lower<false>(tokens, P, weights, Q, x_head, row, out, P);
                    if (chunk || start) {
                        exponentials(tokens, log_decay, Real(0), Real(1), fades);
                        scaled(tokens, N, c, row, fades, faded_c);
                        product<true>(tokens, P, N, faded_c, N, 1, own, P, out, P);
                    }
                    if (states && chunk)
                        memcpy(states + ((state_begins[unit / p.groups] + chunk) * p.heads + head) * N * P, own, N * P * sizeof(Real));
                    if (chunk + 1 < chunks || end) {
                        exponentials(tokens, log_decay, log_decay[tokens - 1], Real(-1), factor);
                        for (int i = 0; i < tokens; i++) factor[i] *= dt[i];
                        scaled(tokens, N, b, row, factor, to_end_b);
                        carry(r, to_end_b, tokens, x_head, row, power_of_e(log_decay[tokens - 1]), own);
                        if (end && chunk + 1 == chunks) memcpy(end + of_sequence + head * N * P, own, N * P * sizeof(Real));
                    }
                    for (int i = 0; i < tokens && from + i + p.shift < r.length; i++) {
                        Real* to = y + r.at(from + i + p.shift) * y_row + head * P;
                        each_vector<Real>(P, [&](long j, auto part) {
                            Vector<Real> value = load(out + i * P + j, part);
                            store(to + j, add ? load(to + j, part) + value : value, part);
                        });
                    }
                }
            }
        }
    }
}

template <class Real>
struct Gradients {
    Real *dx, *db, *dc;  // db and dc: (groups, T, N) where there are several groups, else in rows like dx
    long row, group_row;
    Real *ddt, *da, *dskip;  // (T, H); (sequences, H) each
};

// What a backward pass works with, per thread.
template <class Real>
struct Desk {
    Scratch<Real> scratch;
    Real *match, *decay, *weights, *d_weights, *d_match, *turned, *x_turned, *d_y, *d_x, *d_b, *d_c, *factored, *read, *state_turned;
    Real *log_decay, *dt, *fades, *to_end, *d_log, *d_dt, *d_state;

    explicit Desk(const Problem<Real>& p)
        : scratch(
              padded<Real>(p.chunk) * (5 * padded<Real>(p.chunk) + 5 * p.state + 3 * p.width + 6) +
              p.state * p.width * (p.heads + 1)) {
        const long Q = padded<Real>(p.chunk), N = p.state, P = p.width;
        for (Real** each : {&match, &decay, &weights, &d_weights, &d_match}) *each = scratch.take(Q * Q);
        for (Real** each : {&turned, &d_b, &d_c, &factored, &read}) *each = scratch.take(Q * N);
        for (Real** each : {&x_turned, &d_y, &d_x}) *each = scratch.take(Q * P);
        for (Real** each : {&log_decay, &dt, &fades, &to_end, &d_log, &d_dt}) *each = scratch.take(Q);
        state_turned = scratch.take(N * P);
        d_state = scratch.take(p.heads * N * P);
    }
};

// Through the tokens of one chunk: fills d_x, adds to d_match, d_log and d_dt; gives the gradient of the skip.
template <class Real>
static Real within(const Problem<Real>& p, Desk<Real>& d, int tokens, long head, const Real* x, long row) {
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
    product_of_transposed_lower<false>(tokens, P, d.weights, Q, d.d_y, P, d.d_x, P);
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

// Through the state that leaves the chunk, whose gradient is d_leaving: adds to d_x, d_b, d_log and d_dt.
template <class Real>
static void through_leaving(
    const Problem<Real>& p, Desk<Real>& d, int tokens, const Real* x, const Real* b, long row, Real* d_leaving, const Real* entering) {
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
    product<true>(tokens, P, N, d.factored, N, 1, d_leaving, P, d.d_x, P);
}

template <class Real>
static void backward(
    const Problem<Real>& p, const int64_t* state_begins, const Real* states, const Real* grad, long grad_row, const Gradients<Real>& g,
    long add, long threads) {
    const long N = p.state, P = p.width, Q = padded<Real>(p.chunk);
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
        Desk<Real> d(p);
#pragma omp for schedule(static)
        for (long unit = 0; unit < p.sequences * p.groups; unit++) {
            Reader<Real> r(p, unit);
            const long s = unit / p.groups, row = r.step * p.row, chunks = r.chunks();
            for (long head = r.first_head; head < r.last_head; head++) g.da[s * p.heads + head] = g.dskip[s * p.heads + head] = 0;
            for (long chunk = chunks - 1; chunk >= 0; chunk--) {
                const long from = chunk * p.chunk;
                const int tokens = (int)(r.length - from < p.chunk ? r.length - from : p.chunk);
                const Real *x = p.x + r.at(from) * p.row, *b = p.b + r.at(from) * p.row, *c = p.c + r.at(from) * p.row;
                fetch(x, row, tokens, p.heads * P);
                fetch(grad + r.at(from) * grad_row, r.step * grad_row, tokens, p.heads * P);
                transpose(tokens, N, b, row, d.turned, Q);
                product_to_lower<false>(tokens, N, c, row, d.turned, Q, d.match, Q);
                memset(d.d_match, 0, tokens * Q * sizeof(Real));
                memset(d.d_b, 0, tokens * N * sizeof(Real));
                memset(d.d_c, 0, tokens * N * sizeof(Real));
                for (long head = r.first_head; head < r.last_head; head++) {
                    const Real* x_head = x + head * P;
                    const Real* entering = chunk ? states + ((state_begins[s] + chunk) * p.heads + head) * N * P : nullptr;
                    Real* d_state = d.d_state + head * N * P;
                    for (int i = 0; i < tokens; i++) {
                        Real* to = d.d_y + i * P;
                        if (from + i + p.shift < r.length)
                            memcpy(to, grad + r.at(from + i + p.shift) * grad_row + head * P, P * sizeof(Real));
                        else
                            memset(to, 0, P * sizeof(Real));
                        d.d_log[i] = d.d_dt[i] = 0;
                    }
                    decays(r, from, tokens, head, d.log_decay, d.dt);
                    g.dskip[s * p.heads + head] += within(p, d, tokens, head, x_head, row);
                    if (chunk + 1 < chunks) through_leaving(p, d, tokens, x_head, b, row, d_state, entering);
                    if (chunk) {
                        exponentials(tokens, d.log_decay, Real(0), Real(1), d.fades);
                        through_entering(p, d, tokens, c, row, entering);
                        if (chunk + 1 == chunks) memset(d_state, 0, N * P * sizeof(Real));
                        scaled(tokens, N, c, row, d.fades, d.factored);
                        carry(r, d.factored, tokens, d.d_y, P, power_of_e(d.log_decay[tokens - 1]), d_state);
                    }
                    Real later = 0;
                    for (int i = tokens - 1; i >= 0; i--) {
                        later += d.d_log[i];
                        long token = r.at(from + i);
                        g.ddt[token * p.heads + head] = d.d_dt[i] + later * p.a[head];
                        g.da[s * p.heads + head] += later * d.dt[i];
                        Real* to = g.dx + token * g.row + head * P;
                        each_vector<Real>(P, [&](long j, auto part) {
                            Vector<Real> value = load(d.d_x + i * P + j, part);
                            store(to + j, add ? load(to + j, part) + value : value, part);
                        });
                    }
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
    }
}

}  // namespace

#define SSD(Real, suffix)                                                                                                            \
    EXPORT void ssd_forward_##suffix(                                                                                                 \
        const Real* x, const Real* b, const Real* c, const Real* dt, const Real* a, const Real* skip, const int64_t* begins,          \
        const int64_t* state_begins, Real* states, const Real* start, Real* end, Real* y, long row, long sequences, long heads,       \
        long width, long state, long chunk, long reverse, long shift, long groups, long y_row, long add, long threads) {              \
        Problem<Real> p{sequences, begins, heads, width, state, chunk, reverse, shift, groups, x, b, c, row, dt, a, skip};            \
        forward<Real>(p, state_begins, states, start, end, y, y_row, add, threads);                                                   \
    }                                                                                                                                 \
    EXPORT void ssd_backward_##suffix(                                                                                                \
        const Real* x, const Real* b, const Real* c, const Real* dt, const Real* a, const Real* skip, const int64_t* begins,          \
        const int64_t* state_begins, const Real* states, const Real* grad, Real* dx, Real* db, Real* dc, Real* ddt, Real* da,         \
        Real* dskip, long row, long sequences, long heads, long width, long state, long chunk, long reverse, long shift, long groups, \
        long grad_row, long d_row, long group_row, long add, long threads) {                                                          \
        Problem<Real> p{sequences, begins, heads, width, state, chunk, reverse, shift, groups, x, b, c, row, dt, a, skip};            \
        Gradients<Real> g{dx, db, dc, d_row, group_row, ddt, da, dskip};                                                              \
        backward<Real>(p, state_begins, states, grad, grad_row, g, add, threads);                                                     \
    }
SSD(float, f32)
SSD(double, f64)
