#include "base/quotas.h"

#include "base/limits.h"

const struct quotas quotas_default = {
#define X(member, usual, most, sentence) .member = (usual),
#include "base/quotas.def"
#undef X
};

const struct quotas quotas_most = {
#define X(member, usual, most, sentence) .member = (most),
#include "base/quotas.def"
#undef X
};
