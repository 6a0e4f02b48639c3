#pragma once
#include "esp_event.h"
esp_err_t nvs_flash_init(void);
