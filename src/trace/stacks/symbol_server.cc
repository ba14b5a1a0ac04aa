#include "trace/stacks/symbol_server.h"

#include <algorithm>
#include <string_view>
#include <utility>

namespace tcpwhy::trace {
namespace {

using namespace symbols;  // NOLINT: the messages

constexpr std::chrono::seconds most_wait{
    60};  // by the clock, on a machine that has other work; it is ended sooner by its processor time
constexpr int most_failures = 8;       // then there are no symbols any more
constexpr std::size_t most_told = 64;  // images in the server

Frame frame_at(const ImageFiles& image, std::uint64_t address) {
  Frame frame{.address = address};
  if (const ImageFiles::Part* part = image.part_at(address)) {
    frame.module = part->mapping.path;
    frame.offset = address - part->mapping.start + part->mapping.offset;
  }
  return frame;
}

std::optional<SymbolServer::Answer> read_frames(Reader& reader, const ImageFiles& image, std::size_t most) {
  SymbolServer::Answer answer;
  while (!reader.empty() && answer.frames.size() < most) {
    const auto head = reader.take<FrameHead>();
    if (!head) return std::nullopt;
    const auto function = reader.take_text(head->function_bytes);
    const auto file = reader.take_text(head->file_bytes);
    if (!function || !file) return std::nullopt;
    if (head->module < 0 || static_cast<std::size_t>(head->module) >= image.parts.size()) {
      // Its file was left out, or there is none.
      answer.frames.push_back(frame_at(image, head->address));
      answer.all_known = answer.all_known && !answer.frames.back().module.empty();
      continue;
    }
    answer.frames.push_back({.address = head->address,
                             .function = std::string(*function),
                             .file = std::string(*file),
                             .line = std::max(head->line, 0),
                             .module = image.parts[static_cast<std::size_t>(head->module)].file->path,
                             .offset = head->offset});
  }
  if (answer.frames.empty()) return std::nullopt;
  return answer;
}

}  // namespace

std::shared_ptr<ImageFiles> ImageFiles::of(std::span<const Mapping> mappings, pid_t pid, MappedFiles& files) {
  static std::uint32_t last_id = 0;
  auto image = std::make_shared<ImageFiles>();
  image->id = ++last_id;
  for (const Mapping& mapping : mappings) {
    if (image->parts.size() >= most_files) break;
    auto file = files.open(mapping, pid);
    if (!file) continue;
    image->parts.push_back({mapping, std::move(file)});
    if (mapping.interpreter == 0) continue;
    for (const char* path : loader_paths) {
      auto loader = files.open_loader(path, pid);
      if (!loader) continue;
      Mapping place{.path = path};
      place.interpreter = mapping.interpreter;
      image->parts.push_back({std::move(place), std::move(loader), true});
    }
  }
  return image;
}

const ImageFiles::Part* ImageFiles::part_at(std::uint64_t address) const {
  const auto found = std::ranges::find_if(parts, [address](const Part& part) {
    return address - part.mapping.start < part.mapping.length;  // below its start it wraps
  });
  return found == parts.end() ? nullptr : &*found;
}

SymbolServer::Answer SymbolServer::unwind(ImageFiles& image, const Registers& registers,
                                          std::span<const std::uint8_t> stack, std::uint64_t stack_address,
                                          std::size_t most_frames) {
  while (!image.hopeless && has_server()) {
    if (auto answer = ask(image, registers, stack, stack_address, most_frames)) return std::move(*answer);
    take_failure(image);
  }
  return {.frames = {frame_at(image, registers.instruction_pointer())}};
}

bool SymbolServer::has_server() {
  if (socket_.valid()) return true;
  if (failures_ >= most_failures) return false;
  socket_ = nursery_.make_server();
  told_.clear();
  return socket_.valid();
}

std::optional<SymbolServer::Answer> SymbolServer::ask(ImageFiles& image, const Registers& registers,
                                                      std::span<const std::uint8_t> stack, std::uint64_t stack_address,
                                                      std::size_t most_frames) {
  reading_.reset();
  deadline_ = std::chrono::steady_clock::now() + most_wait;
  if (!tell_files(image)) return std::nullopt;
  const UnwindHead head{.image = image.id,
                        .most_frames = static_cast<std::uint32_t>(most_frames),
                        .registers = registers.dwarf,
                        .stack_address = stack_address};
  Writer question(Kind::unwind);
  question.put(head);
  question.put_bytes(stack.first(std::min(stack.size(), most_message - sizeof head - sizeof(Kind))));
  if (!send_message(socket_.get(), question.bytes(), -1, deadline_)) return std::nullopt;
  while (const auto message = receive_message(socket_.get(), WithDescriptors::no, deadline_)) {
    Reader reader(message->bytes);
    const auto kind = reader.take<Kind>();
    if (kind == Kind::frames) return read_frames(reader, image, most_frames);
    if (kind == Kind::reading) {
      const auto reading = reader.take<ReadingHead>();
      if (reading && reading->index < image.parts.size()) reading_ = reading->index;
    } else if (kind != Kind::want_debug_file || !answer_for_debug_file(reader)) {
      return std::nullopt;
    }
  }
  return std::nullopt;
}

bool SymbolServer::tell_files(const ImageFiles& image) {
  if (const auto known = std::ranges::find(told_, image.id); known != told_.end()) return true;
  if (told_.size() >= most_told) {
    Writer message(Kind::forget_image);
    message.put(ImageHead{told_.front()});
    told_.pop_front();
    if (!send_message(socket_.get(), message.bytes(), -1, deadline_)) return false;
  }
  for (std::size_t i = 0; i < image.parts.size(); ++i) {
    const ImageFiles::Part& part = image.parts[i];
    if (part.file->unreadable) continue;
    Writer message(Kind::file);
    message.put(FileHead{.image = image.id,
                         .index = static_cast<std::uint32_t>(i),
                         .start = part.mapping.start,
                         .length = part.mapping.length,
                         .offset = part.mapping.offset,
                         .interpreter = part.mapping.interpreter,
                         .is_program = part.mapping.is_program ? 1U : 0U,
                         .is_loader = part.is_loader ? 1U : 0U});
    message.put_text(std::string_view(part.file->path).substr(0, most_message / 2));
    if (!send_message(socket_.get(), message.bytes(), part.file->fd.get(), deadline_)) return false;
  }
  told_.push_back(image.id);
  return true;
}

bool SymbolServer::answer_for_debug_file(Reader& reader) {
  const base::UniqueFd fd = open_debug_file(reader.rest());
  const Writer answer(Kind::debug_file);
  return send_message(socket_.get(), answer.bytes(), fd.get(), deadline_);
}

// Of which file it died is what it said last; said nothing, it may have been anything, and gets one more try.
void SymbolServer::take_failure(ImageFiles& image) {
  socket_.reset();
  ++failures_;
  const bool too_slow = std::chrono::steady_clock::now() >= deadline_;
  if (!reading_) {
    image.hopeless = std::exchange(image.failed_unseen, true);
    if (image.hopeless && !image.parts.empty())
      unread_.push_back({.path = image.parts.front().file->path, .too_slow = too_slow});
    return;
  }
  MappedFile& file = *image.parts[*reading_].file;
  file.unreadable = true;
  unread_.push_back({.path = file.path, .too_slow = too_slow});
}

}  // namespace tcpwhy::trace
