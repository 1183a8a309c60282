// From which sources these loops were compiled: see fingerprint.py.
#include "simd.h"

EXPORT const char* fingerprint() { return FINGERPRINT; }
