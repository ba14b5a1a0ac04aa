// Asks the symbol server (symbol_worker.h) what the addresses of a traced program mean: the tracer's side. Whatever the server answers,
// and whether it answers at all, this side goes on: a file that it dies of, or takes too long for, is left out from then on.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "trace/stacks/mapped_files.h"
#include "trace/stacks/symbol_messages.h"
#include "trace/stacks/symbol_nursery.h"
#include "trace/stacks/unwinder.h"

namespace tcpwhy::trace {

// The files that a process has mapped as code, each where.
struct ImageFiles {
  struct Part {
    Mapping mapping;
    std::shared_ptr<MappedFile> file;
    bool is_loader = false;  // one that the program before may name as its own
  };
  std::vector<Part> parts;
  std::uint32_t id = 0;                          // its own among all
  bool failed_unseen = false, hopeless = false;  // the server has died of it, and of which file is not known; so twice

  // Files that can't be opened are left out.
  static std::shared_ptr<ImageFiles> of(std::span<const Mapping> mappings, pid_t pid, MappedFiles& files);
  [[nodiscard]] const Part* part_at(std::uint64_t address) const;
};

class SymbolServer {
 public:
  // Forks (symbol_nursery.h).
  SymbolServer() = default;

  struct Answer {
    std::vector<Frame> frames;  // leaf first; at least one
    bool all_known = true;      // false: an address lies in none of the files
  };
  Answer unwind(ImageFiles& image, const Registers& registers, std::span<const std::uint8_t> stack,
                std::uint64_t stack_address, std::size_t most_frames);
  // Files whose symbols are not known because the server died of them, each once, since the last call.
  std::vector<UnreadSymbols> take_unread() { return std::exchange(unread_, {}); }

 private:
  bool has_server();
  bool tell_files(const ImageFiles& image);
  std::optional<Answer> ask(ImageFiles& image, const Registers& registers, std::span<const std::uint8_t> stack,
                            std::uint64_t stack_address, std::size_t most_frames);
  bool answer_for_debug_file(symbols::Reader& reader);
  void take_failure(ImageFiles& image);

  symbols::Nursery nursery_;
  base::UniqueFd socket_;                 // to the server; invalid: there is none
  std::deque<std::uint32_t> told_;        // the images that it has, latest last
  std::optional<std::uint32_t> reading_;  // what it has said last that it reads, of the image asked about
  symbols::Deadline deadline_;
  int failures_ = 0;
  std::vector<UnreadSymbols> unread_;
};

}  // namespace tcpwhy::trace
