// What is mapped where in a process, with its symbols, lines and call frame information (libdwfl). In the symbol server only: the
// bytes are the traced program's, and libdw was not written for those who mean harm.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/unique_fd.h"
#include "trace/stacks/mapping.h"
#include "trace/stacks/unwinder.h"

struct Dwarf;
struct Dwfl;

namespace tcpwhy::trace {

class Image {
 public:
  struct File {
    Mapping mapping;
    std::int32_t index = 0;  // as the answers name it
    base::UniqueFd fd;
    bool is_loader =
        false;  // a dynamic linker, of whatever program before it names it as its own; at its Mapping::interpreter
  };
  struct Helpers {
    std::function<void(std::int32_t index)> reading;  // before anything of that file is read
    std::function<base::UniqueFd(std::span<const std::uint8_t> build_id)> find_debug_file;
  };
  // Null: no memory.
  static std::unique_ptr<Image> of(std::vector<File> files, Helpers helpers);
  Image(const Image&) = delete;
  Image& operator=(const Image&) = delete;
  ~Image();

  struct Stack {
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
  struct PlacedFrame {
    Frame frame;               // without its module
    std::int32_t module = -1;  // File::index; -1: in none of them
  };
  // The frames at an address, innermost inlined call first. At least one.
  const std::vector<PlacedFrame>& frames_at(const Step& step);

 private:
  Image() = default;
  bool report(std::vector<File> files);
  void tell_reading(std::uint64_t address);
  void link_alternate(Dwarf* dwarf);
  friend struct DwflCallbacksOfImage;

  Helpers helpers_;
  Dwfl* dwfl_ = nullptr;
  bool attached_ = false;
  Stack current_;
  std::unordered_map<std::uint64_t, std::vector<PlacedFrame>> known_frames_;
  std::set<const Dwarf*> linked_;  // link_alternate() has seen them
  std::vector<Dwarf*> alternates_;
};

}  // namespace tcpwhy::trace
