#include "trace/stacks/unwinder.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <fstream>
#include <iterator>
#include <map>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "trace/stacks/mapped_files.h"
#include "trace/stacks/symbol_server.h"

namespace tcpwhy::trace {
namespace {

constexpr std::size_t most_frames = 32, most_shown = 8;
constexpr std::size_t most_images = 64, most_processes = 65536, most_mappings = 4096;

// The lines of /proc/PID/maps that are code: what differs between two processes here, differs in what their addresses mean.
std::string code_maps(pid_t pid) {
  std::ifstream file(fmt::format("/proc/{}/maps", pid));
  std::string maps, line;
  while (std::getline(file, line)) {
    const std::size_t space = line.find(' ');
    if (space != std::string::npos && line.size() > space + 3 && line[space + 3] == 'x') maps += line + '\n';
  }
  return maps;
}

std::string text_of(const Frame& frame) {
  if (!frame.function.empty() && frame.line > 0) return fmt::format("{} {}:{}", frame.function, frame.file, frame.line);
  if (!frame.function.empty()) return fmt::format("{}+{:#x}", frame.function, frame.offset);
  // The file's name will do: a line has room for little.
  if (!frame.module.empty())
    return fmt::format("{}+{:#x}", std::string_view(frame.module).substr(frame.module.rfind('/') + 1), frame.offset);
  return fmt::format("{:#x}", frame.address);
}

}  // namespace

struct Unwinder::Impl {
  SymbolServer server;
  MappedFiles files;
  struct Process {
    std::shared_ptr<ImageFiles> image;
    std::string maps;
    std::vector<Mapping> learnt;  // latest last; empty: it is looked at
  };
  std::unordered_map<pid_t, Process> processes;
  std::map<std::vector<Mapping>, std::shared_ptr<ImageFiles>> learnt_images;
  std::map<std::string, std::shared_ptr<ImageFiles>, std::less<>> images;  // by code_maps()
  std::deque<std::string> image_order;                                     // oldest first

  // True: the process has another image now than before.
  bool look(pid_t pid) {
    std::string maps = code_maps(pid);
    if (maps.empty()) return false;  // gone, or not ours to see: what is known stays
    if (const auto known = processes.find(pid); known != processes.end() && known->second.maps == maps) return false;
    std::shared_ptr<ImageFiles> image;
    if (const auto same = images.find(maps); same != images.end()) {
      image = same->second;
    } else {
      image = ImageFiles::of(code_mappings(pid), pid, files);
      if (image->parts.empty()) return false;
      if (images.size() >= most_images) {
        images.erase(image_order.front());
        image_order.pop_front();
      }
      images.emplace(maps, image);
      image_order.push_back(maps);
    }
    if (processes.size() >= most_processes) processes.clear();
    processes.insert_or_assign(pid, Process{std::move(image), std::move(maps), {}});
    return true;
  }

  Process& process_of(pid_t pid) {
    if (processes.size() >= most_processes) processes.clear();
    return processes[pid];
  }

  ImageFiles* image_of(pid_t pid) {
    const auto found = processes.find(pid);
    if (found == processes.end()) return nullptr;
    Process& process = found->second;
    if (process.image || process.learnt.empty()) return process.image.get();
    if (learnt_images.size() >= most_images && !learnt_images.contains(process.learnt)) learnt_images.clear();
    std::shared_ptr<ImageFiles>& image = learnt_images[process.learnt];
    if (!image) image = ImageFiles::of(process.learnt, pid, files);
    process.image = image;
    return image.get();
  }
};

Unwinder::Unwinder() : impl_(std::make_unique<Impl>()) {}
Unwinder::Unwinder(Unwinder&&) noexcept = default;
Unwinder& Unwinder::operator=(Unwinder&&) noexcept = default;
Unwinder::~Unwinder() = default;

void Unwinder::learn(pid_t pid, std::uint64_t address, bool anew) {
  if (const auto known = impl_->processes.find(pid); known != impl_->processes.end() && !known->second.learnt.empty())
    return;
  const ImageFiles* image = impl_->image_of(pid);
  if (image != nullptr && !anew && image->part_at(address) != nullptr) return;
  impl_->look(pid);
}

void Unwinder::forget(pid_t pid) { impl_->processes.erase(pid); }

void Unwinder::learn_mapping(pid_t pid, Mapping mapping) {
  Impl::Process& process = impl_->process_of(pid);
  // What was there is there no longer (dlclose(), then another dlopen()).
  std::erase_if(process.learnt, [&mapping](const Mapping& before) {
    return before.start < mapping.start + mapping.length && mapping.start < before.start + before.length;
  });
  if (process.learnt.size() >= most_mappings) return;
  process.learnt.push_back(std::move(mapping));
  process.image.reset();
}

void Unwinder::learn_fork(pid_t parent, pid_t child) {
  const auto known = impl_->processes.find(parent);
  if (known == impl_->processes.end() || known->second.learnt.empty()) return;
  Impl::Process copy = known->second;
  impl_->process_of(child) = std::move(copy);
}

std::vector<Frame> Unwinder::unwind(pid_t pid, const Registers& registers, std::span<const std::uint8_t> stack,
                                    std::uint64_t stack_address) {
  ImageFiles* image = impl_->image_of(pid);
  if (image == nullptr) {
    return {Frame{.address = registers.instruction_pointer()}};
  }
  auto answer = impl_->server.unwind(*image, registers, stack, stack_address, most_frames);
  // Code that was mapped since (dlopen): look again, once.
  const bool was_looked_at = impl_->processes[pid].learnt.empty();
  if (was_looked_at && !answer.all_known && impl_->look(pid))
    answer = impl_->server.unwind(*impl_->image_of(pid), registers, stack, stack_address, most_frames);
  return std::move(answer.frames);
}

recording::Loss loss_of(const UnreadSymbols& unread) {
  return {"file's symbols", 1,
          fmt::format("the debug information of {} could not be read ({}): its functions and lines are not known",
                      unread.path, unread.too_slow ? "it took too long" : "its reader died of it")};
}

std::vector<UnreadSymbols> Unwinder::take_unread() { return impl_->server.take_unread(); }

std::string text(const std::vector<Frame>& frames) {
  auto begin = frames.begin();
  auto end = std::find_if(frames.begin(), frames.end(), [](const Frame& frame) { return frame.function == "main"; });
  if (end != frames.end()) ++end;
  while (begin != end && is_c_library(begin->module)) ++begin;
  while (begin != end && is_c_library(std::prev(end)->module)) --end;
  if (begin == end) {
    begin = frames.begin();
    end = frames.end();
  }
  std::string line;
  for (std::size_t shown = 0; begin != end && shown < most_shown; ++begin, ++shown) {
    if (shown != 0) line += " < ";
    line += text_of(*begin);
  }
  return line;
}

}  // namespace tcpwhy::trace
