"""Signing in, with a limit on attempts; the staff site's sign-in uses the same page."""

from __future__ import annotations

import math
from typing import Any

from django.contrib.auth.views import LoginView
from django.http import HttpRequest, HttpResponse

from mediahub.api.throttles import wait_to_sign_in


class SignIn(LoginView):
    """The form; too many attempts from an address or for a name have to wait."""

    redirect_authenticated_user = True

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        wait = wait_to_sign_in(request, request.POST.get("username", ""))
        if wait:
            context = self.get_context_data(wait_minutes=max(1, math.ceil(wait / 60)))
            response = self.render_to_response(context, status=429)
            response["Retry-After"] = str(math.ceil(wait))
            return response
        return super().post(request, *args, **kwargs)
