#include "scan/packets/merged_packets.h"

#include <algorithm>
#include <utility>

namespace tcpwhy::scan {

MergedPackets MergedPackets::of(capfile::CaptureReader reader) {
  MergedPackets merged;
  const auto size = reader.input_size();
  merged.sources_.push_back({.input = std::nullopt, .reader = std::move(reader), .size = size});
  merged.current_ = 0;
  return merged;
}

base::Result<MergedPackets> MergedPackets::open(const std::vector<std::string>& paths) {
  std::vector<capfile::Input> inputs;
  for (const std::string& path : paths) {
    auto input = capfile::Input::open(path);
    if (!input) return std::unexpected(std::move(input.error()));
    inputs.push_back(std::move(*input));
  }
  return open(std::move(inputs));
}

base::Result<MergedPackets> MergedPackets::open(std::vector<capfile::Input> inputs) {
  if (inputs.size() == 1) {
    auto reader = capfile::CaptureReader::open(inputs[0]);
    if (!reader) return std::unexpected(std::move(reader.error()));
    return of(std::move(*reader));
  }
  MergedPackets merged;
  merged.sources_.reserve(inputs.size());
  for (capfile::Input& input : inputs) {
    auto reader = capfile::CaptureReader::open(input);
    if (!reader) return std::unexpected(std::move(reader.error()));
    const auto index = static_cast<Index>(merged.sources_.size());
    const auto size = reader->input_size();
    Source& source =
        merged.sources_.emplace_back(Source{.input = std::move(input), .reader = std::move(*reader), .size = size});
    if (!merged.advance(index)) continue;
    source.first = source.head->at;
    if (!source.input->is_regular()) {
      merged.open_.push_back(index);
      continue;
    }
    source.reader.reset();
    source.head = nullptr;
    merged.waiting_.push_back(index);
  }
  std::ranges::stable_sort(merged.waiting_, [&](Index a, Index b) {
    return std::pair(merged.sources_[a].first, a) > std::pair(merged.sources_[b].first, b);
  });
  std::ranges::make_heap(merged.open_, [&](Index a, Index b) { return merged.comes_later(a, b); });
  return merged;
}

bool MergedPackets::comes_later(Index a, Index b) const {
  return std::pair(sources_[a].head->at, a) > std::pair(sources_[b].head->at, b);
}

void MergedPackets::keep(base::Error error) {
  if (!error_) error_ = std::move(error);
}

void MergedPackets::close(Source& source, const base::Result<const capfile::PacketRecord*>& last) {
  if (!last) keep(last.error());
  finished_bytes_ += source.size.value_or(source.reader->input_position());
  source.reader.reset();
}

// A file that was looked at already may have changed since.
bool MergedPackets::begin(Index index) {
  auto reader = capfile::CaptureReader::open(*sources_[index].input);
  if (!reader) {
    keep(std::move(reader.error()));
    return false;
  }
  sources_[index].reader = std::move(*reader);
  return advance(index);
}

base::Result<SourcedPacket> MergedPackets::next_of_several() {
  const auto later = [this](Index a, Index b) { return comes_later(a, b); };
  if (current_ && sources_[*current_].head != nullptr) {
    open_.push_back(*current_);
    std::ranges::push_heap(open_, later);
  }
  current_.reset();
  while (!waiting_.empty() && (open_.empty() || sources_[waiting_.back()].first <= sources_[open_.front()].head->at)) {
    const Index index = waiting_.back();
    waiting_.pop_back();
    if (!begin(index)) continue;
    open_.push_back(index);
    std::ranges::push_heap(open_, later);
  }
  if (open_.empty()) {
    if (error_) return std::unexpected(*error_);
    return SourcedPacket{};
  }
  std::ranges::pop_heap(open_, later);
  current_ = open_.back();
  open_.pop_back();
  return current();
}

const capfile::CaptureReader* MergedPackets::only_reader() const {
  if (!current_ || !open_.empty()) return nullptr;
  const Source& source = sources_[*current_];
  return source.reader ? &*source.reader : nullptr;
}

std::size_t MergedPackets::in_memory() const {
  const capfile::CaptureReader* reader = only_reader();
  return reader != nullptr ? reader->in_memory() : 0;
}

const std::shared_ptr<capfile::ReadAhead>& MergedPackets::read_ahead() const {
  static const std::shared_ptr<capfile::ReadAhead> nobody;
  const capfile::CaptureReader* reader = only_reader();
  return reader != nullptr ? reader->read_ahead() : nobody;
}

Progress MergedPackets::progress() const {
  Progress progress{.read = finished_bytes_, .size = 0};
  for (const Source& source : sources_) {
    if (source.reader) progress.read += source.reader->input_position();
    progress.size = progress.size && source.size ? std::optional(*progress.size + *source.size) : std::nullopt;
  }
  return progress;
}

}  // namespace tcpwhy::scan
