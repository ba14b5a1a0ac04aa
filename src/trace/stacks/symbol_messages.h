// What a tracer and its symbol server say to each other: one message a packet of a SOCK_SEQPACKET pair, a fixed part and bytes behind
// it, files as descriptors beside it. Neither trusts a length of the other's.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

#include "base/unique_fd.h"
#include "trace/machine/dwarf_registers.h"

namespace tcpwhy::trace::symbols {

inline constexpr std::size_t most_message = 64U << 10U;
inline constexpr std::size_t most_files = 4096;  // of an image
inline constexpr std::size_t most_text = 255;    // of a name

enum class Kind : std::uint32_t {
  // to the server
  file,          // FileHead, its path; the descriptor
  forget_image,  // ImageHead
  unwind,        // UnwindHead, the copy of the stack
  debug_file,    // nothing; the descriptor, if there is one
  // from the server
  reading,          // ReadingHead: what it dies of from here on, it dies of that file
  want_debug_file,  // a build id
  frames,           // FrameHead, function, file: of each frame
};

struct ImageHead {
  std::uint32_t image = 0;
};
struct FileHead {
  std::uint32_t image = 0, index = 0;
  std::uint64_t start = 0, length = 0, offset = 0, interpreter = 0;  // as Mapping
  std::uint32_t is_program = 0;
  std::uint32_t is_loader = 0;  // may be that of the program before it
};
struct UnwindHead {
  std::uint32_t image = 0, most_frames = 0;
  std::array<std::uint64_t, MACHINE_DWARF_REGISTERS> registers{};  // as Registers has them
  std::uint64_t stack_address = 0;
};
struct ReadingHead {
  std::uint32_t index = 0;
};
struct FrameHead {
  std::uint64_t address = 0, offset = 0;
  std::int32_t module = -1;  // index of its file; -1: none
  std::int32_t line = 0;
  std::uint16_t function_bytes = 0, file_bytes = 0;
  std::uint32_t unused = 0;
};

class Writer {
 public:
  explicit Writer(Kind kind) { put(kind); }
  template <class T>
    requires std::is_trivially_copyable_v<T>
  void put(const T& value) {
    append(&value, sizeof value);
  }
  void put_text(std::string_view text) { append(text.data(), text.size()); }
  void put_bytes(std::span<const std::uint8_t> bytes) { append(bytes.data(), bytes.size()); }
  [[nodiscard]] std::span<const std::byte> bytes() const { return bytes_; }

 private:
  void append(const void* from, std::size_t count) {
    const auto* const first = static_cast<const std::byte*>(from);
    bytes_.insert(bytes_.end(), first, first + count);
  }
  std::vector<std::byte> bytes_;
};

class Reader {
 public:
  explicit Reader(std::span<const std::byte> bytes) : rest_(bytes) {}
  template <class T>
    requires std::is_trivially_copyable_v<T>
  std::optional<T> take() {
    if (rest_.size() < sizeof(T)) return std::nullopt;
    T value;
    std::memcpy(&value, rest_.data(), sizeof value);
    rest_ = rest_.subspan(sizeof value);
    return value;
  }
  std::optional<std::string_view> take_text(std::size_t count) {
    if (rest_.size() < count) return std::nullopt;
    const std::string_view text(reinterpret_cast<const char*>(rest_.data()), count);
    rest_ = rest_.subspan(count);
    return text;
  }
  [[nodiscard]] std::span<const std::uint8_t> rest() const {
    return {reinterpret_cast<const std::uint8_t*>(rest_.data()), rest_.size()};
  }
  [[nodiscard]] bool empty() const { return rest_.empty(); }

 private:
  std::span<const std::byte> rest_;
};

using Deadline = std::chrono::steady_clock::time_point;
inline constexpr Deadline never = Deadline::max();

// False: the other is gone, or did not take it in time.
bool send_message(int socket, std::span<const std::byte> bytes, int passed_fd = -1, Deadline deadline = never);

struct Received {
  std::vector<std::byte> bytes;  // at most most_message; what is longer is cut, and its reader misses something
  base::UniqueFd fd;
};
enum class WithDescriptors : bool { no, yes };  // no: those that come are closed by the kernel
// Nothing: the other is gone, or said nothing in time.
std::optional<Received> receive_message(int socket, WithDescriptors with, Deadline deadline = never);

}  // namespace tcpwhy::trace::symbols
