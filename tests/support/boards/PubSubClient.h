#pragma once
#include "WiFi.h"
class PubSubClient {
 public:
  explicit PubSubClient(Client &network);
  PubSubClient &setServer(const char *host, uint16_t port);
  bool setBufferSize(uint16_t bytes);
  bool connected();
  bool connect(const char *id, const char *user, const char *password);
  bool publish(const char *topic, const char *payload);
  bool loop();
};
