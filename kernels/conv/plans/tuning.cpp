#include "kernels/conv/plans/tuning.h"

#include <algorithm>
#include <iterator>

namespace kernels {
namespace {

thread_local ConvTuning* running = nullptr;

double multiply_adds(const ConvShape& s) {
  return static_cast<double>(s.y_size()) * s.kernel * s.kernel * s.in_channels;
}
}  // namespace

ConvTuning* ConvTuning::current() { return running; }

ConvTuning::Step::Step(ConvTuning& tuning) {
  tuning.choose_due();
  ++tuning.begun_;
  running = &tuning;
}
ConvTuning::Step::~Step() { running = nullptr; }

// The first step only meets the convolutions: the largest are known after it.
void ConvTuning::choose_due() {
  due_.clear();
  if (budget_ == 0)
    budget_ = std::min(limits_.together, limits_.per_conv * static_cast<double>(waiting_.size()));
  if (time_is_spent()) return;
  std::vector<std::pair<double, const cudnn::Problem*>> by_size;
  for (const auto& [problem, size] : waiting_) by_size.emplace_back(size, &problem);
  std::stable_sort(by_size.begin(), by_size.end(),
                   [](const auto& a, const auto& b) { return a.first > b.first; });
  const std::size_t steps_left = limits_.steps > begun_ ? limits_.steps - begun_ : 1,
                    share = (by_size.size() + steps_left - 1) / steps_left,
                    count = std::min(by_size.size(), std::max(limits_.least_per_step, share));
  for (std::size_t i = 0; i < count; ++i) due_.insert(*by_size[i].second);
}

// Twice the mean of what is left: the early ones are larger, and most need less than
// their share. Too short a search would choose badly, and for ever: its plan is kept.
double ConvTuning::time_for(const cudnn::Problem& problem) {
  if (!due_.contains(problem)) {
    waiting_.emplace(problem, multiply_adds(problem.shape));
    return 0;
  }
  if (time_is_spent()) return 0;
  const double share = 2 * (budget_ - spent_) / static_cast<double>(waiting_.size());
  return std::clamp(share, limits_.shortest, limits_.longest);
}

void ConvTuning::finished(const cudnn::Problem& problem, double ms) {
  spent_ += ms;
  due_.erase(problem);
  waiting_.erase(problem);
}

bool ConvTuning::settled() const {
  return begun_ > 0 && (waiting_.empty() || (budget_ > 0 && time_is_spent()));
}
}  // namespace kernels
