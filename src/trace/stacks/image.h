// What is mapped where in a process, with its symbols, lines and call frame information (libdwfl).
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <sys/types.h>

#include "trace/stacks/mapping.h"
#include "trace/stacks/unwinder.h"

struct Dwfl;

namespace tcpwhy::trace {

// The C library, its loader and the kernel's vdso, by path of the file.
bool is_c_library(std::string_view path);

class Image {
 public:
  // Reads /proc/PID/maps and opens the files. Null if the process is gone or nothing of it can be read.
  static std::shared_ptr<Image> of(pid_t pid);
  // Of what was mapped, from the files as they are now; a file that is gone or has another size than then is left out. `pid`: whose
  // view of the file system is tried first.
  static std::shared_ptr<Image> of(std::span<const Mapping> mappings, pid_t pid);
  Image(const Image&) = delete;
  Image& operator=(const Image&) = delete;
  ~Image();

  [[nodiscard]] bool holds(std::uint64_t address) const;
  struct Stack {
    pid_t pid = 0;  // for memory that is not in the copy; the process may be gone
    const Registers* registers = nullptr;
    std::span<const std::uint8_t> bytes;
    std::uint64_t address = 0;
  };
  struct Step {
    std::uint64_t address = 0;
    bool is_activation = false;  // address is that of the instruction itself, not of a return
  };
  // Leaf first.
  std::vector<Step> walk(const Stack& stack, std::size_t most);
  // The frames at an address, innermost inlined call first. At least one.
  const std::vector<Frame>& frames_at(const Step& step);

 private:
  Image() = default;
  bool report(pid_t pid);
  bool report(std::span<const Mapping> mappings, pid_t pid);
  friend struct DwflCallbacksOfImage;

  Dwfl* dwfl_ = nullptr;
  bool attached_ = false;
  Stack current_;
  pid_t opened_for_ = 0;  // the process while its files are being opened
  std::unordered_map<std::uint64_t, std::vector<Frame>> known_frames_;
};

}  // namespace tcpwhy::trace
