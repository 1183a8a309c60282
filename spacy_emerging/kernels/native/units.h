// One sequence and a range of its channels: what a thread works on at a time, where channels do not depend on each other.
#pragma once

#include "simd.h"

struct Unit {
    long sequence, begin, length;  // tokens
    long part, first, count;       // channels; `first` is a multiple of the lanes

    // begins: of each sequence, and the end of the last one. parts: ranges that the channels are cut into.
    Unit(const int64_t* begins, long channels, long parts, long number, long lanes) : sequence(number / parts), part(number % parts) {
        begin = begins[sequence];
        length = begins[sequence + 1] - begin;
        long share = (channels + parts - 1) / parts;
        share = (share + lanes - 1) / lanes * lanes;
        first = part * share < channels ? part * share : channels;
        count = channels - first < share ? channels - first : share;
    }
};

// The first of the sequences that fall to a thread, where each takes whole ones, in order, and about as many tokens as the others: a sequence
// goes to where its middle lies. The next thread's first one is the end.
INLINE long first_sequence(const int64_t* begins, long sequences, long threads, long number) {
    if (number >= threads) return sequences;
    const long tokens = begins[sequences] ? begins[sequences] : 1;
    long s = 0;
    while (s < sequences && (begins[s] + begins[s + 1]) * threads < 2 * tokens * number) s++;
    return s;
}

// Calls work(sequence) for those that fall to a thread.
template <class Work>
INLINE void each_sequence(const int64_t* begins, long sequences, long threads, long number, Work work) {
    const long end = first_sequence(begins, sequences, threads, number + 1);
    for (long s = first_sequence(begins, sequences, threads, number); s < end; s++) work(s);
}

// Ranges of channels that give every thread work.
INLINE long parts_for(long threads, long sequences) {
    return sequences >= threads ? 1 : (threads + sequences - 1) / (sequences ? sequences : 1);
}
