#pragma once
#include "Arduino.h"
enum wl_status_t { WL_IDLE_STATUS, WL_CONNECTED = 3 };
class Client {};
class WiFiClient : public Client {};
class WiFiClass {
 public:
  wl_status_t begin(const char *network, const char *password);
  wl_status_t status();
};
extern WiFiClass WiFi;
