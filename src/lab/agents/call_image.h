// A call as it stands in the registers and the memory of the process that makes it, put together from what is known of it:
// calls::decode_entry() and decode_return() spell it from there, as they do a traced one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

#include "calls/decode.h"
#include "calls/memory.h"

namespace tcpwhy::lab {

class CallImage : public calls::Memory {
 public:
  // Pieces of memory stand from here on, where no process can have any. An address is a stand-in: it tells the speller where to read, and
  // must not be told. So all of what a speller may read there is put.
  static constexpr std::uint64_t made_up = 0x4c41'4200'0000'0000;

  calls::SyscallArguments registers{};

  template <class... Words>
  void pass(Words... words) {
    registers = {static_cast<std::uint64_t>(words)...};
  }

  // Returns where it stands.
  std::uint64_t put(std::span<const std::byte> bytes);
  std::uint64_t put_text(std::string_view text);
  template <class T>
    requires std::is_trivially_copyable_v<T>
  std::uint64_t put_value(const T& value) {
    return put(std::as_bytes(std::span(&value, 1)));
  }
  // What really stands there.
  void put_at(std::uint64_t address, std::span<const std::byte> bytes);

  [[nodiscard]] std::vector<std::uint8_t> read(std::uint64_t address, std::size_t length) const override;

 private:
  std::map<std::uint64_t, std::vector<std::uint8_t>> pieces_;  // by address
  std::uint64_t next_ = made_up;
};

}  // namespace tcpwhy::lab
