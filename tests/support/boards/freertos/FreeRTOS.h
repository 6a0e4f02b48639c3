#pragma once
#include <stdint.h>
#define pdMS_TO_TICKS(ms) ((uint32_t)(ms))
