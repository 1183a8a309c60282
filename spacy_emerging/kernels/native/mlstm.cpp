// The mixing of the mLSTM over sequences that lie end to end, chunk by chunk: mlstm.py says what is computed.
//
// Letters as there: H heads, d width of a head, and Q tokens of a chunk, P numbers of a row of the memory. A column of ones beside the
// values makes the counter a column of the memory, and what a token has seen a column of what it reads. Zeros fill up P to LANES.
#include "mlstm.h"

namespace {

// Memories, (count, H, d, P), and their m, (count, H).
template <class Real>
struct States {
    Real *memory, *largest;
};

// kept: those before all chunks but a sequence's first. start, end: one of each sequence, before its first token and after its last. All of
// these may be none. y: (T, H d), seen: (T, H), both written.
template <class Real>
void forward(
    const Problem<Real>& p, const States<Real>& kept, const States<Real>& start, const States<Real>& end, Real* y, Real* seen, long threads) {
    const long d = p.width, row = p.heads * d, units = p.sequences * p.heads;
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (long thread = 0; thread < threads; thread++) {
        Desk<Real> desk(p, d * p.columns());
        const long P = desk.P, Q = desk.Q;
        Real* memory = desk.scratch.take(d * P);
        for (long unit = thread; unit < units; unit += threads) {
            Real before = 0;
            if (start.memory) {
                memcpy(memory, start.memory + unit * d * P, d * P * sizeof(Real));
                before = start.largest[unit];
            }
            for (long number = 0;; number++) {
                Chunk<Real> c(p, unit, number);
                if (c.tokens <= 0) break;
                const bool reached = number || start.memory;  // by a state
                const Real *q = c.of(p.q, p.q_row), *k = c.of(p.k, p.k_row);
                fetch(q, c.step * p.q_row, c.tokens, d);
                fetch(c.of(p.v, p.v_row), c.step * p.v_row, c.tokens, d);
                desk.stabilize(c, !reached, before);
                desk.match(c);
                product_of_lower<false>(c.tokens, P, desk.weights, Q, desk.values, P, desk.read, P);
                if (reached) {
                    scaled(c.tokens, d, q, c.step * p.q_row, desk.fade, desk.factored, P);
                    product<true>(c.tokens, P, d, desk.factored, P, 1, memory, P, desk.read, P);
                }
                if (kept.memory && number) {
                    const long place = (p.state_begins[unit / p.heads] + number) * p.heads + c.head;
                    memcpy(kept.memory + place * d * P, memory, d * P * sizeof(Real));
                    kept.largest[place] = before;
                }
                if (!c.last() || end.memory) {
                    const Real fade = reached ? desk.fade[c.tokens - 1] : Real(0);
                    if (!reached) memset(memory, 0, d * P * sizeof(Real));
                    each_vector<Real>(d * P, [&](long j, auto part) { store(memory + j, fade * load(memory + j, part), part); });
                    scaled(c.tokens, d, k, c.step * p.k_row, desk.to_end, desk.factored, P);
                    product<true>(d, P, c.tokens, desk.factored, 1, P, desk.values, P, memory, P);
                }
                before = desk.leaving(c);
                for (int i = 0; i < c.tokens; i++) {
                    const Real *read = desk.read + i * P, found = read[d], size = found < 0 ? -found : found;
                    const Real share = 1 / ((size > desk.floor[i] ? size : desk.floor[i]) + (Real)p.epsilon);
                    Real* to = y + c.at(i) * row + c.head * d;
                    each_vector<Real>(d, [&](long j, auto part) { store(to + j, share * load(read + j, part), part); });
                    seen[c.at(i) * p.heads + c.head] = found;
                }
                if (c.last()) break;
            }
            if (end.memory) {
                memcpy(end.memory + unit * d * P, memory, d * P * sizeof(Real));
                end.largest[unit] = before;
            }
        }
    }
}

template <class Real>
struct Gradients {
    Real *q, *k, *v, *gates;  // (T, H d) each and (T, 2 H), written
};

// What the backward pass works with besides.
template <class Real>
struct BackwardDesk : Desk<Real> {
    Real *d_read, *d_weights, *values_turned, *d_q, *d_k, *d_v, *memory_turned, *d_memory, *along;

    static long further(const Problem<Real>& p) {
        const long Q = padded<Real>(p.chunk), P = p.columns();
        return Q * (5 * P + Q + 2) + 2 * P * P;
    }
    explicit BackwardDesk(const Problem<Real>& p) : Desk<Real>(p, further(p)) {
        const long Q = this->Q, P = this->P;
        for (Real** each : {&d_read, &values_turned, &d_q, &d_k, &d_v}) *each = this->scratch.take(Q * P);
        d_weights = this->scratch.take(Q * Q);
        memory_turned = this->scratch.take(P * P);
        d_memory = this->scratch.take(P * P);
        along = this->scratch.take(2 * Q);
    }
};

// Fills d_read, the gradients of what is read and seen, and for each token the two numbers of which d_f is made.
template <class Real>
void through_normalizer(const Chunk<Real>& c, BackwardDesk<Real>& desk, const Real* y, const Real* seen, const Real* grad) {
    const long d = c.p.width, row = c.p.heads * d;
    for (int i = 0; i < c.tokens; i++) {
        const long place = c.at(i) * row + c.head * d;
        const Real found = seen[c.at(i) * c.p.heads + c.head], size = found < 0 ? -found : found, floor = desk.floor[i];
        const Real share = 1 / ((size > floor ? size : floor) + (Real)c.p.epsilon), along = inner((int)d, grad + place, y + place);
        Real* to = desk.d_read + i * desk.P;
        each_vector<Real>(d, [&](long j, auto part) { store(to + j, share * load(grad + place + j, part), part); });
        const Real d_seen = size >= floor ? (found > 0 ? -along * share : found < 0 ? along * share : Real(0)) : Real(0);
        to[d] = d_seen;
        desk.along[i] = along + d_seen * found;
    }
}

// Through the tokens of the chunk: d_q, d_k, d_v.
template <class Real>
void within(const Chunk<Real>& c, BackwardDesk<Real>& desk) {
    const auto& p = c.p;
    const long d = p.width, P = desk.P, Q = desk.Q;
    transpose(c.tokens, (int)d + 1, desk.values, P, desk.values_turned, Q);
    product_to_lower<false>(c.tokens, (int)d + 1, desk.d_read, P, desk.values_turned, Q, desk.d_weights, Q);
    for (int i = 0; i < c.tokens; i++)
        for (long j = i * Q; j < (i + 1) * Q && j < i * Q + i + STRIP; j += LANES<Real>)
            store(desk.d_weights + j, load(desk.d_weights + j, Whole{}) * load(desk.decay + j, Whole{}), Whole{});
    product_of_transposed_lower<false>(c.tokens, (int)padded<Real>(d), desk.weights, Q, desk.d_read, P, desk.d_v, P);
    product_of_lower<false>(c.tokens, (int)d, desk.d_weights, Q, c.of(p.k, p.k_row), c.step * p.k_row, desk.d_q, P);
    product_of_transposed_lower<false>(c.tokens, (int)d, desk.d_weights, Q, c.of(p.q, p.q_row), c.step * p.q_row, desk.d_k, P);
}

// Through the state that leaves the chunk, whose gradient is d_memory: adds to d_k and d_v.
template <class Real>
void through_leaving(const Chunk<Real>& c, BackwardDesk<Real>& desk) {
    const auto& p = c.p;
    const long d = p.width, P = desk.P;
    scaled(c.tokens, d, c.of(p.k, p.k_row), c.step * p.k_row, desk.to_end, desk.factored, P);
    product<true>(c.tokens, (int)padded<Real>(d), (int)d, desk.factored, P, 1, desk.d_memory, P, desk.d_v, P);
    transpose((int)d, (int)d + 1, desk.d_memory, P, desk.memory_turned, P);
    scaled(c.tokens, P, desk.values, P, desk.to_end, desk.factored, P);
    product<true>(c.tokens, (int)padded<Real>(d), (int)d + 1, desk.factored, P, 1, desk.memory_turned, P, desk.d_k, P);
}

// Through the state that reaches the chunk: adds to d_q, and makes d_memory its gradient.
template <class Real>
void through_entering(const Chunk<Real>& c, BackwardDesk<Real>& desk, const Real* memory) {
    const auto& p = c.p;
    const long d = p.width, P = desk.P;
    const Real kept = c.last() ? Real(0) : desk.fade[c.tokens - 1];
    if (c.last()) memset(desk.d_memory, 0, d * P * sizeof(Real));
    scaled(c.tokens, P, desk.d_read, P, desk.fade, desk.factored, P);
    transpose((int)d, (int)d + 1, memory, P, desk.memory_turned, P);
    product<true>(c.tokens, (int)padded<Real>(d), (int)d + 1, desk.factored, P, 1, desk.memory_turned, P, desk.d_q, P);
    each_vector<Real>(d * P, [&](long j, auto part) { store(desk.d_memory + j, kept * load(desk.d_memory + j, part), part); });
    product<true>((int)d, (int)P, c.tokens, c.of(p.q, p.q_row), 1, c.step * p.q_row, desk.factored, P, desk.d_memory, P);
}

template <class Real>
void backward(
    const Problem<Real>& p, const Real* states, const Real* largest, const Real* y, const Real* seen, const Real* grad,
    const Gradients<Real>& g, long threads) {
    const long d = p.width, row = p.heads * d, units = p.sequences * p.heads;
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (long thread = 0; thread < threads; thread++) {
        BackwardDesk<Real> desk(p);
        for (long unit = thread; unit < units; unit += threads) {
            const long s = unit / p.heads, length = p.begins[s + 1] - p.begins[s];
            double later = 0;  // of all tokens after this one: a sum over long sequences
            for (long number = (length + p.chunk - 1) / p.chunk - 1; number >= 0; number--) {
                Chunk<Real> c(p, unit, number);
                const long place = (p.state_begins[s] + number) * p.heads + c.head;
                fetch(c.of(p.q, p.q_row), c.step * p.q_row, c.tokens, d);
                fetch(c.of(p.v, p.v_row), c.step * p.v_row, c.tokens, d);
                fetch(c.of(grad, row), c.step * row, c.tokens, d);
                desk.stabilize(c, !number, number ? largest[place] : Real(0));
                desk.match(c);
                through_normalizer(c, desk, y, seen, grad);
                within(c, desk);
                if (!c.last()) through_leaving(c, desk);
                if (number) through_entering(c, desk, states + place * d * desk.P);
                for (int i = c.tokens - 1; i >= 0; i--) {
                    const long token = c.at(i), to = token * row + c.head * d;
                    const Real d_i = inner((int)d, p.k + token * p.k_row + c.head * d, desk.d_k + i * desk.P);
                    const Real f = p.gates[(token * 2 + 1) * p.heads + c.head];
                    later += desk.along[i] - d_i;
                    g.gates[token * 2 * p.heads + c.head] = d_i;
                    g.gates[(token * 2 + 1) * p.heads + c.head] = (Real)later / (1 + power_of_e(f));
                    memcpy(g.q + to, desk.d_q + i * desk.P, d * sizeof(Real));
                    memcpy(g.k + to, desk.d_k + i * desk.P, d * sizeof(Real));
                    memcpy(g.v + to, desk.d_v + i * desk.P, d * sizeof(Real));
                }
            }
        }
    }
}

}  // namespace

#define MLSTM(Real, suffix)                                                                                                         \
    EXPORT void mlstm_forward_##suffix(                                                                                              \
        const Real* q, const Real* k, const Real* v, const Real* gates, const int64_t* begins, const int64_t* state_begins,          \
        Real* states, Real* largest, Real* start, Real* start_largest, Real* end, Real* end_largest, Real* y, Real* seen,            \
        long q_row, long k_row, long v_row, long sequences, long heads, long width, long chunk, long reverse, double epsilon,        \
        long threads) {                                                                                                              \
        Problem<Real> p{sequences, begins, state_begins, heads, width, chunk, reverse, q, k, v, q_row, k_row, v_row, gates, epsilon}; \
        forward<Real>(p, {states, largest}, {start, start_largest}, {end, end_largest}, y, seen, threads);                           \
    }                                                                                                                                \
    EXPORT void mlstm_backward_##suffix(                                                                                             \
        const Real* q, const Real* k, const Real* v, const Real* gates, const int64_t* begins, const int64_t* state_begins,          \
        const Real* states, const Real* largest, const Real* y, const Real* seen, const Real* grad, Real* d_q, Real* d_k, Real* d_v, \
        Real* d_gates, long q_row, long k_row, long v_row, long sequences, long heads, long width, long chunk, long reverse,         \
        double epsilon, long threads) {                                                                                              \
        Problem<Real> p{sequences, begins, state_begins, heads, width, chunk, reverse, q, k, v, q_row, k_row, v_row, gates, epsilon}; \
        Gradients<Real> g{d_q, d_k, d_v, d_gates};                                                                                   \
        backward<Real>(p, states, largest, y, seen, grad, g, threads);                                                               \
    }
MLSTM(float, f32)
MLSTM(double, f64)
