#pragma once
#include "WiFi.h"
class WiFiClientSecure : public WiFiClient {
 public:
  void setCACert(const char *pem);
  void setCACertBundle(const uint8_t *bundle, size_t bytes);
};
