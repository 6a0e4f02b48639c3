#pragma once
#include "esp_event.h"
esp_err_t example_connect(void);
