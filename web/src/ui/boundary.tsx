import { Component } from 'react'
import { type Problem, toProblem } from '../api/client.ts'
import { ProblemNotice } from './basics.tsx'

/** A view that fails says so in its own place; the rest of the page goes on. */
export class Boundary extends Component<{ children: React.ReactNode }, { problem: Problem | null }> {
  override state: { problem: Problem | null } = { problem: null }

  static getDerivedStateFromError(error: unknown) {
    return { problem: toProblem(error) }
  }

  override render() {
    const { problem } = this.state
    if (!problem) return this.props.children
    return (
      <div className="page">
        <ProblemNotice problem={problem} retry={() => this.setState({ problem: null })} />
      </div>
    )
  }
}
