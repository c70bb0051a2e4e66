#define BODY(name) name##_avx2
#include "model/encoder_ops_body.h"
