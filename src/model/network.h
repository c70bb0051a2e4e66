/* An encoder and its calibration texts as the network that calibrated pruning runs. */
#ifndef TAMIS_MODEL_NETWORK_H
#define TAMIS_MODEL_NETWORK_H

#include "checkpoint/job.h"

/* Opens a model folder on dense kernels. Hidden states of all texts are kept in memory, in fp32;
 * the texts themselves are not needed afterwards. */
extern const tmsi_network_source tmsi_encoder_source;

#endif
