// What is known of a call (calls/decode.h), in the events of a recording.
#pragma once

#include <utility>

#include "calls/decode.h"
#include "recording/event.h"

namespace tcpwhy::trace {

inline void tell(const calls::CallRow& row, calls::Entry entry, recording::CallEntered& entered) {
  entered.name = row.name;
  entered.arguments = std::move(entry.arguments);
  entered.fd = entry.fd;
  entered.byte_count = entry.byte_count;
  if (entry.remote) entered.remote = entry.remote;
}

inline void tell(calls::Return back, recording::CallReturned& returned) {
  returned.result = back.result;
  returned.error = back.error;
  returned.detail = std::move(back.detail);
  returned.new_fd = back.new_fd;
}

}  // namespace tcpwhy::trace
