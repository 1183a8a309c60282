// The best label sequences of linear chains (Viterbi 1967). Letters as in crf.py; tokens in step order, sequences by rank.
#include "simd.h"

namespace {

INLINE float lowest(float) { return -3.4028234663852886e38f; }
INLINE double lowest(double) { return -1.7976931348623157e308; }

constexpr int SIDE_BY_SIDE = 4;  // vectors of labels whose best ways are looked for at once, so that none waits for itself

template <class Real>
struct Chains {
    long sequences, histories, labels;
    const Real* emissions;         // (T, K)
    const Real* transitions;       // (G, K, padded K): history, before, next
    const int64_t *begins, *lengths;  // of each step among the tokens, and of each sequence
    Real* best;                    // (T, G, K)
    int64_t* path;                 // (T): labels

    long states() const { return histories * labels; }
    long place(long sequence, long step) const { return begins[step] + sequence; }
    // The score before a step of the state that has `label`, or of a second-order chain the history `before` and the label `history`.
    Real earlier(const Real* scores, long history, long before) const {
        return histories == 1 ? scores[before] : scores[before * labels + history];
    }
};

// to[j] = the largest of from[i] + moves[i][j], of a few vectors of j.
template <int VECTORS, class Real>
INLINE void best_ways(long labels, const Real* from, const Real* moves, long row, Real* to) {
    Vector<Real> found[VECTORS];
    for (int v = 0; v < VECTORS; v++) found[v] = every((Real)-INFINITY);
    for (long i = 0; i < labels; i++)
        for (int v = 0; v < VECTORS; v++)
            found[v] = larger(found[v], from[i] + load(moves + i * row + v * LANES<Real>, Whole{}));
    for (int v = 0; v < VECTORS; v++) store(to + v * LANES<Real>, found[v], Whole{});
}

// Scores of all states after a step; the best one has 0, so that long sequences lose no digits. A score that is no number is passed over.
template <class Real>
static void step(const Chains<Real>& c, const Real* before, const Real* emission, Real* after, Real* from, Real* to) {
    const long row = padded<Real>(c.labels), few = SIDE_BY_SIDE * LANES<Real>;
    Real most = lowest(Real());
    for (long g = 0; g < c.histories; g++) {
        const Real* moves = c.transitions + g * c.labels * row;
        for (long i = 0; i < c.labels; i++) from[i] = c.earlier(before, g, i);
        long j = 0;
        for (; j + few <= row; j += few) best_ways<SIDE_BY_SIDE>(c.labels, from, moves + j, row, to + j);
        for (; j < row; j += LANES<Real>) best_ways<1>(c.labels, from, moves + j, row, to + j);
        for (j = 0; j < c.labels; j++) {
            const Real score = to[j] + emission[j];
            after[g * c.labels + j] = score;
            most = score > most ? score : most;
        }
    }
    for (long s = 0; s < c.states(); s++) after[s] -= most;
}

// Back from the best state of the last step; ties go to the one that comes first.
template <class Real>
static void trace(const Chains<Real>& c, long sequence) {
    const long row = padded<Real>(c.labels), last = c.lengths[sequence] - 1;
    const Real* scores = c.best + c.place(sequence, last) * c.states();
    long state = 0;
    for (long s = 1; s < c.states(); s++)
        if (scores[s] > scores[state]) state = s;
    c.path[c.place(sequence, last)] = state % c.labels;
    for (long t = last - 1; t >= 0; t--) {
        const Real* before = c.best + c.place(sequence, t) * c.states();
        const long history = state / c.labels, label = state % c.labels;
        const Real* moves = c.transitions + history * c.labels * row + label;
        long from = 0;
        Real most = c.earlier(before, history, 0) + moves[0];
        for (long i = 1; i < c.labels; i++) {
            const Real score = c.earlier(before, history, i) + moves[i * row];
            if (score > most) most = score, from = i;
        }
        state = from * c.histories + history;
        c.path[c.place(sequence, t)] = state % c.labels;
    }
}

template <class Real>
static void forward(Chains<Real> c, const Real* transitions, long threads) {
    const long row = padded<Real>(c.labels), rows = c.histories * c.labels;
    Scratch<Real> laid_out(rows * row);
    Real* moves = laid_out.take(rows * row);
    for (long i = 0; i < rows; i++) memcpy(moves + i * row, transitions + i * c.labels, c.labels * sizeof(Real));
    c.transitions = moves;
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
        Scratch<Real> scratch(2 * row);
        Real *from = scratch.take(row), *to = scratch.take(row);
#pragma omp for schedule(dynamic)
        for (long s = 0; s < c.sequences; s++) {
            Real* first = c.best + c.place(s, 0) * c.states();
            for (long i = 0; i < c.states(); i++) first[i] = -INFINITY;
            memcpy(first + (c.histories - 1) * c.labels, c.emissions + c.place(s, 0) * c.labels, c.labels * sizeof(Real));
            for (long t = 1; t < c.lengths[s]; t++) {
                const long here = c.place(s, t), before = c.place(s, t - 1);
                step(c, c.best + before * c.states(), c.emissions + here * c.labels, c.best + here * c.states(), from, to);
            }
            trace(c, s);
        }
    }
}

}  // namespace

#define VITERBI(Real, suffix)                                                                                                       \
    EXPORT void viterbi_forward_##suffix(                                                                                           \
        const Real* emissions, const Real* transitions, const int64_t* begins, const int64_t* lengths, Real* best, int64_t* path,   \
        long sequences, long histories, long labels, long threads) {                                                                \
        forward(Chains<Real>{sequences, histories, labels, emissions, nullptr, begins, lengths, best, path}, transitions, threads); \
    }
VITERBI(float, f32)
VITERBI(double, f64)
