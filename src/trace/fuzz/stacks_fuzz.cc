// Input: a program's file (ELF, with its call frame information and DWARF), and behind it the last 256 bytes: the top of its stack. It is
// mapped at a place of its own and unwound from its beginning on; frames come out, no more than were asked for.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/unique_fd.h"
#include "trace/stacks/image.h"

namespace {

constexpr std::size_t stack_bytes = 256, most_frames = 32, largest = 256 * 1024;
constexpr std::uint64_t base = 0x10000000, stack_at = 0x7fff0000;

// The file has no name but that of its descriptor.
tcpwhy::base::UniqueFd file_of(std::span<const std::uint8_t> bytes) {
  tcpwhy::base::UniqueFd fd(memfd_create("fuzz", MFD_CLOEXEC));
  TCPWHY_CHECK(fd.valid());
  TCPWHY_CHECK(write(fd.get(), bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
  return fd;
}

}  // namespace

// dwarf_getscopes() of libdw 0.188 forgets its array where what nests in the scopes is broken. Who reads the files of others is a process that
// does not live long (symbol_worker.cc).
extern "C" const char* __lsan_default_suppressions();  // NOLINT(bugprone-reserved-identifier)
extern "C" const char* __lsan_default_suppressions() { return "leak:libdw.so\n"; }

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tcpwhy::trace;
  if (size <= stack_bytes || size > largest) return -1;
  const std::span<const std::uint8_t> file(data, size - stack_bytes);
  const std::vector<std::uint8_t> stack(data + file.size(), data + size);
  std::vector<Image::File> files;
  files.push_back({.mapping = {.start = base,
                               .length = (file.size() + 0xfff) & ~std::uint64_t{0xfff},
                               .file_bytes = file.size(),
                               .path = "/fuzz"},
                   .index = 0,
                   .fd = file_of(file)});
  const auto image = Image::of(std::move(files), {.reading = [](std::int32_t) {},
                                                  .find_debug_file = [](auto) { return tcpwhy::base::UniqueFd(); }});
  if (!image) return 0;
  for (const std::uint64_t offset : {std::uint64_t{0x1000}, std::uint64_t{0x1008}, std::uint64_t{0x1010}}) {
    Registers registers;
    registers.dwarf[6] = stack_at + 64, registers.dwarf[7] = stack_at, registers.dwarf[16] = base + offset;
    const auto steps = image->walk({.registers = &registers, .bytes = stack, .address = stack_at}, most_frames);
    TCPWHY_CHECK(!steps.empty() && steps.size() <= most_frames);
    for (const auto& step : steps) TCPWHY_CHECK(!image->frames_at(step).empty());
  }
  return 0;
}
