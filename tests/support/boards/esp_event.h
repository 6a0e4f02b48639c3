#pragma once
typedef int esp_err_t;
#define ESP_ERROR_CHECK(call) ((void)(call))
esp_err_t esp_event_loop_create_default(void);
