#pragma once
#include "freertos/FreeRTOS.h"
void vTaskDelay(uint32_t ticks);
