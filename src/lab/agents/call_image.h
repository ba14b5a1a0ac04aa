// A call as it stands in the registers and the memory of the process that makes it, put together from what is known of
// it: calls::decode_entry() and decode_return() spell it from there, as they do a traced one.
#pragma once

#include <cstdint>

#include "calls/decode.h"
#include "calls/memory_image.h"

namespace tcpwhy::lab {

class CallImage : public calls::MemoryImage {
 public:
  // Where no process can have any memory. An address is a stand-in: it tells the speller where to read, and must not be
  // told. So all of what a speller may read there is put. What really stands somewhere is put_at() that place.
  static constexpr std::uint64_t made_up = 0x4c41'4200'0000'0000;
  CallImage() : MemoryImage(made_up) {}

  calls::SyscallArguments registers{};

  template <class... Words>
  void pass(Words... words) {
    registers = {static_cast<std::uint64_t>(words)...};
  }
};

}  // namespace tcpwhy::lab
